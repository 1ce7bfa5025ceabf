"""Normalization of images for the network: ImageNet's mean color and its deviation."""

MEAN = (123.675, 116.28, 103.53)
"""Mean of ImageNet's red, green and blue, 0 to 255, which is subtracted for the network."""

DEVIATION = (58.395, 57.12, 57.375)
"""Standard deviation of ImageNet's red, green and blue, 0 to 255."""
