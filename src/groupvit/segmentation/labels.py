"""Labels of a segmentation, parsed once: names, synonyms, and words of the background."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from groupvit.errors import InputError
from groupvit.text.background import Background
from groupvit.text.nouns import number_forms
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
    plain: tuple[str, ...] = ()
    """Names that were given without synonyms and quotation marks, so that they may be expanded."""
    expanded: tuple[str, ...] = ()
    """Names whose words a lexicon gave."""

    def words_of(self, name: str) -> tuple[str, ...]:
        """Words of a label."""
        index = self.names.index(name)
        pairs = zip(self.words, self.owners, strict=True)
        return tuple(word for word, owner in pairs if owner == index)

    def expansions(self) -> dict[str, tuple[str, ...]]:
        """Words of the labels that were expanded."""
        return {name: self.words_of(name) for name in self.expanded}

    def with_words(self, words: Mapping[str, Sequence[str]]) -> "Labels":
        """The same labels, where those named here have these words in place of theirs."""
        of_labels: list[list[str]] = [[] for _ in (*self.names, *self.background)]
        for word, owner in zip(self.words, self.owners, strict=True):
            of_labels[owner].append(word)
        for name, some in words.items():
            of_labels[self.names.index(name)] = list(some)
        return replace(
            self,
            words=tuple(chain.from_iterable(of_labels)),
            owners=tuple(index for index, some in enumerate(of_labels) for _ in some),
            expanded=tuple(words),
        )


def parse(labels: "Iterable[str] | Labels", background: Background | None = None) -> Labels:
    """Parse labels such as `car|automobile|taxi`, and the words of the background.

    No label is expanded; see `Segmenter.parse`.

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
        plain=tuple(one.name for one in parsed[:count] if len(one.words) == 1 and not one.quoted),
    )
    if background is not None and background.thresholds:
        _check_thresholds(background, result.names)
    return result


def held(labels: Iterable[str] | Labels) -> list[str] | Labels:
    """Labels that can be read more than once, as those of a generator cannot."""
    return labels if isinstance(labels, Labels) else list_of_texts(labels, name="labels")


def without_labels(words: Iterable[str], labels: Labels) -> tuple[str, ...]:
    """The words that are no words of labels, in either grammatical number."""
    pairs = zip(labels.words, labels.owners, strict=True)
    own = [word.casefold() for word, owner in pairs if owner < len(labels.names)]
    claimed = {form for word in own for form in number_forms(word)}
    return tuple(word for word in words if word.casefold() not in claimed)


def _check_thresholds(background: Background, names: Sequence[str]) -> None:
    for name in background.thresholds:
        if name not in names:
            raise InputError(
                f"a background threshold is given for {name!r}, which is no label; "
                f"the labels are {', '.join(names)}"
            )
