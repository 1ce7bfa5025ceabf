"""Segmentation of images by labels in free text."""
