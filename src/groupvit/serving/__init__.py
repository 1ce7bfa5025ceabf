"""A program that answers over HTTP: images and words in, labeled pixels out."""
