"""Labels of a segmentation, parsed once: names, synonyms, and words of the background."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from groupvit.errors import InputError
from groupvit.text.background import Background
from groupvit.text.prompts import list_of_texts, parse_labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Labels that compete for the pixels of an image; those of the background come last."""

    names: tuple[str, ...]
    """Names of the labels, in the order given."""
    background: tuple[str, ...] = ()
    """Names of the labels that become background."""
    words: tuple[str, ...]
    """All words, label by label: the names and their synonyms."""
    owners: tuple[int, ...]
    """Index of the label that each word belongs to, in `names` and then `background`."""


def parse(labels: "Iterable[str] | Labels", background: Background | None = None) -> Labels:
    """Parse labels such as `car|automobile|taxi`, and the words of the background.

    Args:
        labels: Texts, in each of which commas may separate several labels, or what this function
            returned for the same background.
        background: Background of the segmentation.

    Raises:
        InputError: A label is empty, given twice or reserved, or a threshold names no label.
    """
    if isinstance(labels, Labels):
        return labels
    texts = list_of_texts(labels, name="labels")
    parsed = parse_labels(texts)
    count = len(parsed)
    if background is not None and background.words:  # a mistake in the labels is named before
        parsed = parse_labels([*texts, *background.words])
    names: list[str] = []
    words: list[str] = []
    owners: list[int] = []
    for index, label in enumerate(parsed):
        names.append(label.name)
        words += label.words
        owners += [index] * len(label.words)
    result = Labels(
        names=tuple(names[:count]),
        background=tuple(names[count:]),
        words=tuple(words),
        owners=tuple(owners),
    )
    if background is not None and background.thresholds:
        _check_thresholds(background, result.names)
    return result


def held(labels: Iterable[str] | Labels) -> list[str] | Labels:
    """Labels that can be read more than once, as those of a generator cannot."""
    return labels if isinstance(labels, Labels) else list_of_texts(labels, name="labels")


def _check_thresholds(background: Background, names: Sequence[str]) -> None:
    for name in background.thresholds:
        if name not in names:
            raise InputError(
                f"a background threshold is given for {name!r}, which is no label; "
                f"the labels are {', '.join(names)}"
            )
