"""Readers of images with captions, each for one layout of files."""
