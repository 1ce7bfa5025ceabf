"""Label maps as PNG files whose pixel values are label indices."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from groupvit.formats.label_maps import LabelMap, check


def index_png(label_map: LabelMap, colors: UInt8[np.ndarray, "label 3"]) -> Image.Image:
    """Image to be saved as PNG, whose pixel values are the indices of the labels.

    Up to 256 labels it has one byte per pixel and a palette (mode P); beyond that two bytes per
    pixel and no colors (mode I;16).

    Args:
        label_map: Index of the label of every pixel.
        colors: Color of each label, RGB, 0 to 255.

    Raises:
        InputError: The map holds an index without a color.
    """
    check(label_map, len(colors))
    if len(colors) > 256:
        return Image.fromarray(label_map.astype(np.uint16))
    image = Image.fromarray(label_map.astype(np.uint8))
    image.putpalette(colors.tobytes())
    return image
