"""Floors: parts of an image that never use its meaning, for the oracle to label.

The score of an oracle has a meaning only beside that of parts drawn without a model. Two kinds are
drawn here, each with as many parts as the model uses groups; every part then takes the class with
the highest IoU, by the same `oracle_table` as the groups.

**Blind grid** of n parts: floor(sqrt(n)) rows of equal height, the parts spread evenly over the
rows, those of a row of equal width: 8 parts are 2 x 4, 16 are 4 x 4, 24 are 4 x 6.

**Color and place** with n parts: the image is averaged to cells, 40 along the shorter side (a
stride of 8 pixels at a shorter side of 320) and at most 320 along the longer. A cell has five
values: its L*a*b* color (CIE 1976, from sRGB, white D65), and its row and column. Color and place
are each centered in the image and scaled to a mean squared length of 1, so that both weigh the
same. k-means then starts from n cells by k-means++ (Arthur and Vassilvitskii 2007) with seed 0 and
ends after 20 rounds, or when no cell changes; a cluster that loses all cells stays empty. The parts
are enlarged to the image as the groups of a model are, and refined where its groups are.

On 122 images of VOC 2012 val (21 classes, shorter side 288), the oracle mIoU of 8, 16, 64 parts is
46.1, 54.7, 69.0 in a grid; of 5, 8, 24, 49 parts of color and place 51.7, 59.3, 70.0, 76.4. (If a
part took the class with most of its pixels, instead of the highest IoU, 8 would have 61.3.)
"""

from math import isqrt

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8, UInt16
from PIL import Image
from torch.nn import functional as F

from groupvit.probes.k_means import k_means
from groupvit.segmentation.groups import GroupedImage, GroupedWindow
from groupvit.segmentation.refinement import Refinement
from groupvit.segmentation.windows import Box

CELLS, MOST_CELLS = 40, 320
"""Cells along the shorter side of an image, and along its longer one at most."""

# sRGB to XYZ, divided by the white point D65 (IEC 61966-2-1).
_XYZ = np.array(
    [
        [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883],
    ]
)


def blind_grid(size: tuple[int, int], num_parts: int) -> Int64[np.ndarray, "height width"]:
    """Part at every pixel of an image of this (height, width), whatever it shows."""
    height, width = size
    num_rows = isqrt(num_parts)
    row = np.arange(height)[:, None] * num_rows // height
    first, end = row * num_parts // num_rows, (row + 1) * num_parts // num_rows
    parts: np.ndarray = first + np.arange(width) * (end - first) // width
    return parts


def color_and_place(
    image: UInt8[np.ndarray, "height width 3"],
    num_parts: int,
    *,
    working_size: tuple[int, int],
    refinement: Refinement | None = None,
) -> UInt16[np.ndarray, "height width"]:
    """Part at every pixel, of clusters of color and place.

    Args:
        image: RGB, 0 to 255.
        num_parts: Number of clusters, at least 1; of a small image there may be fewer.
        working_size: Height and width that the network sees, at which borders are refined [pixels].
        refinement: Refinement of the borders; None: none.
    """
    height, width, _ = image.shape
    rows, columns = (
        min(MOST_CELLS, max(1, round(side * CELLS / min(height, width))))
        for side in (height, width)
    )
    small = Image.fromarray(image).resize((columns, rows), Image.Resampling.BOX)
    places = np.indices((rows, columns)).reshape(2, -1).T.astype(np.float64)
    values = np.hstack([_scaled(lab(np.array(small).reshape(-1, 3))), _scaled(places)])
    num_parts = min(num_parts, len(values))
    parts = k_means(values, num_parts)
    shares = F.one_hot(torch.from_numpy(parts), num_parts).T.float()
    nothing = torch.zeros(num_parts, 0)
    window = GroupedWindow(
        box=Box(0, 0, *working_size),
        grid=(rows, columns),
        assignments=(shares,),
        embedding=nothing[0],
        segments=nothing,
        naming="segments",
        naming_embeddings=nothing,
    )
    grouped = GroupedImage(
        image=image, working_size=working_size, windows=(window,), refinement=refinement
    )
    return grouped.group_map(0)


def lab(rgb: UInt8[np.ndarray, "cell 3"]) -> Float64[np.ndarray, "cell 3"]:
    """L*a*b* colors of sRGB colors (CIE 1976, white D65)."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ.T
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _scaled(values: Float64[np.ndarray, "cell value"]) -> Float64[np.ndarray, "cell value"]:
    """Values with mean 0 and a mean squared length of 1; 0 where all cells are alike."""
    centered = values - values.mean(axis=0)
    length = np.sqrt(np.square(centered).sum(axis=1).mean())
    result: Float64[np.ndarray, "cell value"] = centered / max(length, 1e-6)
    return result
