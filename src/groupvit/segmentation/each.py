"""Segmentation of many images in batches, where one that cannot be read stops no other."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Generic, Literal, NamedTuple, TypeVar

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.image_input import ImageInput
from groupvit.segmentation.labels import Labels
from groupvit.segmentation.result import Segmentation
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background

Key = TypeVar("Key")
ReadImage = Callable[[], ImageInput]
"""Function that reads an image, or raises an `InputError` that names it."""


class Outcome(NamedTuple, Generic[Key]):
    """Segmentation of one image of many, or the reason why there is none."""

    key: Key
    """Name of the image, as it was given."""
    grouped: GroupedImage | None
    """Its groups; None: it could not be read."""
    result: Segmentation | None
    """Its segmentation; None: it could not be read, or there are no labels."""
    error: str
    """Message of the error; empty: none."""


class Labeling(NamedTuple):
    """Labels of an image, and its background."""

    labels: Labels
    """Parsed with the same background."""
    background: Background | None
    """Thresholds and words of the background; None: every pixel has a label."""


def segment_each(
    segmenter: Segmenter,
    images: Iterable[tuple[Key, ReadImage]],
    job_of: Callable[[Key], Labeling | None],
    *,
    top_labels: int | Literal["all"] | None = None,
) -> Iterator[Outcome[Key]]:
    """Segment images in batches, in their order.

    Equal images in equal order give equal results: batches are cut by their number alone.

    Args:
        segmenter: Model.
        images: Name of each image, and the function that reads it.
        job_of: Labels of each image, by its name; None: it is only grouped.
        top_labels: Number of labels that may be used in a window; see `Segmenter.__call__`.

    Raises:
        InputError: A label is wrong.
    """
    rest = iter(images)
    while batch := list(islice(rest, segmenter.batch_size)):
        for key, grouped in _grouped(segmenter, batch):
            if isinstance(grouped, InputError):
                yield Outcome(key, None, None, str(grouped))
                continue
            result, job = None, job_of(key)
            if job is not None:
                result = segmenter.label(
                    grouped, job.labels, background=job.background, top_labels=top_labels
                )
            yield Outcome(key, grouped, result, "")


def _grouped(
    segmenter: Segmenter, batch: list[tuple[Key, ReadImage]]
) -> Iterator[tuple[Key, GroupedImage | InputError]]:
    try:
        grouped = segmenter.group([read() for _, read in batch])
    except InputError:  # of one image: each of them by itself
        for key, read in batch:
            try:
                yield key, segmenter.group([read()])[0]
            except InputError as error:
                yield key, error
    else:
        yield from zip((key for key, _ in batch), grouped, strict=True)
