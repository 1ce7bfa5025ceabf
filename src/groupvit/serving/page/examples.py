"""Example images of the page: photographs and drawn scenes."""

import io
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.photographs.bundled import PHOTOGRAPHS, Photograph
from groupvit.storybook.scene import CLASSES

SCENES = (25, 2, 55, 18, 44)
"""Indices of the scenes; none is in a training set."""
SCENE_SIZE = 320
"""Height and width of scenes [pixels]."""
MIN_SHARE = 0.01
"""Fraction of a scene that a class covers to be among its labels, at least."""
THUMBNAIL = 176
"""Height and width of thumbnails [pixels]."""


class Example(NamedTuple):
    """Image with labels."""

    name: str
    """File name."""
    caption: str
    labels: tuple[str, ...]
    data: bytes
    """The image file."""
    media_type: str
    thumbnail: bytes
    """Square WebP file of the middle of the image."""


def examples(*, scenes_first: bool) -> list[Example]:
    """Photographs and drawn scenes, in the order that suits the model."""
    photographs, scenes = map(_photograph, PHOTOGRAPHS), _scenes()
    return [*scenes, *photographs] if scenes_first else [*photographs, *scenes]


def _photograph(photograph: Photograph) -> Example:
    data = photograph.path.read_bytes()
    return Example(
        name=photograph.file,
        caption=f"{photograph.title} ({photograph.credit})",
        labels=photograph.labels,
        data=data,
        media_type="image/jpeg",
        thumbnail=_thumbnail(Image.open(io.BytesIO(data))),
    )


def _scenes() -> Iterator[Example]:
    scenes = Scenes(num=max(SCENES) + 1, size=SCENE_SIZE)
    for index in SCENES:
        scene = scenes.draw(index)
        shares = [(scene.mask == label).mean() for label in range(len(CLASSES))]
        image = Image.fromarray(scene.image)
        file = io.BytesIO()
        image.save(file, "PNG")
        yield Example(
            name=f"scene-{index}.png",
            caption=scene.captions[0],
            labels=tuple(
                name for name, share in zip(CLASSES, shares, strict=True) if share > MIN_SHARE
            ),
            data=file.getvalue(),
            media_type="image/png",
            thumbnail=_thumbnail(image),
        )


def _thumbnail(image: Image.Image) -> bytes:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.convert("RGB").crop((left, top, left + side, top + side))
    file = io.BytesIO()
    square.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS).save(file, "WEBP")
    return file.getvalue()
