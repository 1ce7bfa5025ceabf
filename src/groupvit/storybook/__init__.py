"""Synthetic dataset: drawn images with captions and the class of every pixel; see `scene`."""
