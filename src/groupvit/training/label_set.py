"""Images with masks of one folder as a source of labels: which label does each pixel teach?"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from groupvit.data.config import DataConfig
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.files import Files, mask_size
from groupvit.evaluation.scores import IGNORED
from groupvit.segmentation.labels import Labels, parse, without_labels
from groupvit.text.prompts import quoted

OTHERS = "others"
"""Label of the pixels without a class, where they have one."""


class LabelSet(NamedTuple):
    """Images of a folder, and the labels that compete for their pixels."""

    files: Files
    """The folder."""
    images: tuple[int, ...]
    """Indices of the images that are trained on."""
    words: tuple[tuple[str, ...], ...]
    """Words of every label, numbered from 0."""
    numbers: Int64[np.ndarray, " class"]
    """Number of the label of every class and of 255; 255 for pixels that do not count."""


def label_set(files: Files, config: DataConfig, background_words: Sequence[str]) -> LabelSet:
    """Labels of a folder by the settings; no word of a held-out class is among them.

    With `mask_labels` «classes» pixels of the background are compared with the words of the
    background, if there are any, as all of these are one label in segmentation.

    Args:
        files: Images and masks, which were checked.
        config: Settings of the data.
        background_words: Words that the model recommends for the background.

    Raises:
        InputError: No class or no image is left, or there are too many labels.
    """
    held = parse(map(quoted, config.held_out)) if config.held_out else None
    own = parse(files.labels)
    is_taught = [not _is_held_out(own.words_of(name), held) for name in own.names]
    words = [
        own.words_of(name) for name, taught in zip(own.names, is_taught, strict=True) if taught
    ]
    if not words:
        raise InputError(f"data.held_out leaves no class of {files.listed}; hold out fewer")
    numbers = np.full(IGNORED + 1, IGNORED)
    classes = np.arange(len(is_taught)) + files.has_background
    numbers[classes[is_taught]] = np.arange(len(words))
    if rest := _rest(files, own, held, config, background_words):
        numbers[numbers == IGNORED if config.mask_labels != "classes" else 0] = len(words)
        words.append(rest)
    if len(words) > IGNORED:
        raise InputError(f"{files.name} has {len(words)} labels; {IGNORED} are the most")
    images = tuple(range(len(files)))
    if config.held_out_images == "leave":
        images = tuple(_without(files, classes[np.logical_not(is_taught)]))
    if not images:
        raise InputError(
            f"every mask of {files.name} shows a held-out class; set data.held_out_images to "
            "'keep', or add images"
        )
    return LabelSet(files, images, tuple(words), numbers)


def _rest(
    files: Files,
    own: Labels,
    held: Labels | None,
    config: DataConfig,
    background_words: Sequence[str],
) -> tuple[str, ...]:
    """Words of the label of pixels without a class, or of the background; empty: there is none."""
    if config.mask_labels != "classes":
        if OTHERS in {word.casefold() for word in own.words}:
            raise InputError(
                f"{files.listed} has a class {OTHERS!r}, the label of pixels without a class; "
                "rename it, or set data.mask_labels to 'classes'"
            )
        return (OTHERS,)
    if not files.has_background:
        return ()
    rest = without_labels(background_words, own)
    return rest if held is None else without_labels(rest, held)


def check_held_out(
    sets: Sequence[LabelSet], config: DataConfig, background_words: Sequence[str]
) -> None:
    """Refuse a held-out name that is no class of any folder, and no word of the background.

    Raises:
        InputError: Names the first.
    """
    for name in config.held_out:
        held = parse([quoted(name)])
        words = [parse(one.files.labels).words for one in sets]
        if not any(_is_held_out(some, held) for some in (*words, background_words)):
            listed = ", ".join(one.files.listed for one in sets)
            raise InputError(
                f"data.held_out names {name!r}, which is no class in {listed}; give the name of a "
                "class"
            )


def _is_held_out(words: Sequence[str], held: Labels | None) -> bool:
    """True if one of the words of a class is held out, in either grammatical number."""
    return held is not None and len(without_labels(words, held)) < len(words)


def _without(files: Files, classes: Int64[np.ndarray, " class"]) -> Iterator[int]:
    """Indices of the images whose masks show none of these classes; all masks are read."""
    for index, pair in enumerate(files.pairs):
        shown = files.values[np.unique(files.read(pair, mask_size(pair.mask)))]
        if not np.isin(shown, classes).any():
            yield index
