"""Captioned images of a drawn world, with the class of every pixel: see `scene`."""
