"""Expansion of labels given without synonyms: words of the lexicon that a model knows."""

from collections.abc import Iterable, Mapping

from groupvit.segmentation.labels import Labels, parse
from groupvit.text.background import Background
from groupvit.text.coverage import Coverage
from groupvit.text.lexicon import Found
from groupvit.text.lexicon import find as find_entry
from groupvit.text.nouns import head_noun, number_forms

LEAST_COUNT = 20
"""Occurrences in the captions of the model from which on a word is added: embeddings of rarer words
take pixels of other things."""
MOST = 8
"""Number of words that a label gets at most, those most frequent in the captions of the model."""


class LabelParser:
    """Parser of labels for one model, which expands labels by the lexicon.

    A label given without synonyms and quotation marks gets the words of its entry: the `MOST` most
    frequent ones of those that occur at least `LEAST_COUNT` times in the captions of the model, or
    were distilled. Words of other labels and of the background are left to them. Where entries of
    two labels list a word, it goes to the label that is a name in the lexicon rather than to one
    with only its head noun there, then to the shorter entry, or to neither. A label that the model
    does not know itself is replaced by its words: an untrained embedding takes pixels at random.

    Args:
        coverage: Words of the model; without any, or with None, no label is expanded.
    """

    def __init__(self, coverage: Coverage | None) -> None:
        nouns: Mapping[str, int] = coverage.nouns if coverage else {}
        distilled = coverage.distilled if coverage else ()
        self._counts = {name.casefold(): 0 for name in distilled}
        self._counts |= {noun: count for noun, count in nouns.items() if count >= LEAST_COUNT}

    def __call__(
        self, labels: Iterable[str] | Labels, background: Background | None = None
    ) -> Labels:
        """Parse labels as `segmentation.labels.parse` does, and expand those that may be.

        `Labels` are returned as they are.

        Raises:
            InputError: As there.
        """
        parsed = parse(labels, background)
        if isinstance(labels, Labels) or not self._counts:
            return parsed
        return parsed.with_words(self._expansions(parsed))

    def _expansions(self, labels: Labels) -> dict[str, tuple[str, ...]]:
        """Words of every label that is expanded."""
        found = {name: entry for name in labels.plain if (entry := find_entry(name))}
        taken = _forms(labels)
        owners = _owners(found)
        expansions = {}
        for name, entry in found.items():
            known = [
                word
                for word in entry.words
                if owners[word] == name
                and taken.get(word, name) == name
                and self._count(word) is not None
            ]
            known.sort(key=lambda word: -(self._count(word) or 0))  # stable
            if known:
                own = (name,) if self._knows_label(name) else ()
                expansions[name] = (*own, *known[:MOST])
        return expansions

    def _count(self, word: str) -> int | None:
        """Occurrences of a word, in either number; 0: a distilled name, None: unknown."""
        spellings = {word, word.replace(" ", "")}
        forms = {form for one in spellings for form in number_forms(one)}
        return max((self._counts[form] for form in forms if form in self._counts), default=None)

    def _knows_label(self, name: str) -> bool:
        folded = name.casefold()
        return self._count(folded) is not None or self._count(head_noun(folded)) is not None


def _forms(labels: Labels) -> dict[str, str | None]:
    """Label of every word that was given, and of its other number; None for the background."""
    pairs = list(zip(labels.words, labels.owners, strict=True))
    names = dict(enumerate(labels.names))
    forms = {form: names.get(at) for word, at in pairs for form in number_forms(word.casefold())}
    return forms | {word.casefold(): names.get(at) for word, at in pairs}


def _owners(found: Mapping[str, Found]) -> dict[str, str | None]:
    """Label of every word in entries of labels; None if entries of equal rank list it."""
    owners: dict[str, str | None] = {}
    ranks: dict[str, tuple[bool, int]] = {}
    for name, entry in found.items():
        rank = (not entry.whole, len(entry.words))
        for word in entry.words:
            before = ranks.get(word)
            if before is None or rank < before:
                owners[word], ranks[word] = name, rank
            elif rank == before:
                owners[word] = None
    return owners
