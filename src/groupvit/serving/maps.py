"""Label maps and group maps of a size for screens, as values of JSON responses."""

import base64
import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from groupvit.palette import colors, text_color
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.result import Segmentation
from groupvit.serving.responses import Group, Label, NamePosition, Stage
from groupvit.visualization.lettering import text_size
from groupvit.visualization.names import place_names

SHORTEST, LONGEST = 640, 1024
"""Length of the longer side of these maps [pixels]; those of small images are enlarged so that the
borders of their groups are smooth."""


def resized_for_display(grouped: GroupedImage) -> GroupedImage:
    """The same groups on an image of a size for screens."""
    height, width = grouped.size
    longest = max(height, width)
    scale = min(max(longest, SHORTEST), LONGEST) / longest
    if scale == 1:
        return grouped
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(grouped.image).resize(size, Image.Resampling.BICUBIC)
    return replace(grouped, image=np.array(image))


def stage_of(grouped: GroupedImage, stage: int) -> Stage:
    """Groups of a stage, counted from 0, which do not depend on labels.

    Numbers and colors are those of the command line: numbers count all groups, colors those in use.
    """
    group_map = grouped.group_map(stage)
    used, counts = np.unique(group_map, return_counts=True)
    is_last = stage == grouped.num_stages - 1
    last = grouped.last_groups(stage)
    tints = colors(len(used), background=False)
    groups = [
        Group(
            group=number,
            share=count / group_map.size,
            color=_css(tint),
            text_color=_css(text_color(tint)),
            merged_into=None if is_last else last[number],
        )
        for number, count, tint in zip(used.tolist(), counts.tolist(), tints, strict=True)
    ]
    # Names are placed by index, and there are as many as numbers of groups.
    numbers = [str(number) for number in range(len(last))]
    places = _places(group_map, numbers, background=False)
    return Stage(stage=stage + 1, map=_encoded(group_map), groups=groups, names=places)


def labels_of(result: Segmentation) -> list[Label]:
    """Labels of a segmentation with their colors."""
    tints = result.colors()
    return [
        Label(
            name=name,
            share=share,
            color=_css(tint),
            text_color=_css(text_color(tint)),
            words=list(result.expansions.get(name, ())),
        )
        for (name, share), tint in zip(result.shares().items(), tints, strict=True)
    ]


def names_of(result: Segmentation) -> list[NamePosition]:
    """Places on the image where the names of labels fit."""
    return _places(result.label_map, result.labels, background=result.has_background)


def label_map_of(result: Segmentation) -> str:
    """The label map as a PNG in base64."""
    return _encoded(result.label_map)


def _places(
    values: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"],
    names: Sequence[str],
    *,
    background: bool,
) -> list[NamePosition]:
    height, width = values.shape
    placed = place_names(values, names, text_size(width, height), background=background)
    return [
        NamePosition(
            value=name.label,
            x=(name.box[0] + name.box[2]) / 2 / width,
            y=(name.box[1] + name.box[3]) / 2 / height,
        )
        for name in placed
    ]


def _encoded(
    values: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"],
) -> str:
    """RGB PNG in base64: a value is red + 256 green, since browsers read 8 bits of a channel."""
    low_and_high = values.astype("<u2").view(np.uint8).reshape(*values.shape, 2)
    file = io.BytesIO()
    Image.fromarray(np.pad(low_and_high, ((0, 0), (0, 0), (0, 1)))).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _css(rgb: Sequence[int] | UInt8[np.ndarray, "3"]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(int(value) for value in rgb))
