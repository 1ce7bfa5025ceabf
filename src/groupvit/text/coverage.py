"""Coverage of a model: the domain of its images, and the words that it was trained with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from groupvit.errors import InputError
from groupvit.text.nouns import head_noun, number_forms

MAX_WORDS: Final = 20_000
"""Number of nouns, the most frequent ones, and of distilled names that a model stores."""
LONGEST: Final = 200
"""Length of the domain and of a word [characters]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Domain and words of the data that a model was trained with; empty: unknown."""

    domain: str = ""
    """Noun phrase for the images, such as `drawn scenes`; empty: unknown."""
    nouns: Mapping[str, int] = field(default_factory=dict)
    """Occurrences of the nouns in the captions, the most frequent first, in lower case. A plural
    whose singular occurs too counts as the singular."""
    distilled: tuple[str, ...] = ()
    """Names that were learned from a classifier or from masks."""

    def __post_init__(self) -> None:
        """Check sizes, counts and texts, which may come from a file."""
        for name, words in (("nouns", self.nouns), ("distilled", self.distilled)):
            if len(words) > MAX_WORDS:
                raise InputError(f"{name} has {len(words):,} words; {MAX_WORDS:,} are the most")
        for text in (self.domain, *self.nouns, *self.distilled):
            if len(text) > LONGEST or not text.isprintable():
                raise InputError(
                    f"{text[:40]!r} is no domain or word; give one line of at most {LONGEST} "
                    "characters"
                )
        for noun, count in self.nouns.items():
            if count < 1:
                raise InputError(f"nouns has {noun} {count} times; a count is at least 1")

    @property
    def has_words(self) -> bool:
        """False if it is unknown which words the model was trained with."""
        return bool(self.nouns or self.distilled)

    @property
    def is_complete(self) -> bool:
        """True if all nouns of the captions are listed, not just the most frequent ones."""
        return len(self.nouns) < MAX_WORDS

    def joined(self, earlier: "Coverage") -> "Coverage":
        """Coverage of a model that was trained further; joining the same again changes nothing.

        Its nouns are those of both, each with the larger count, and its domain the earlier one
        where it has none itself.

        Args:
            earlier: Coverage of the model that training began from.
        """
        both = {**self.nouns, **earlier.nouns}
        counts = {noun: max(self.nouns.get(noun, 0), count) for noun, count in both.items()}
        return Coverage(
            domain=self.domain or earlier.domain,
            nouns=most_frequent(counts),
            distilled=tuple(dict.fromkeys((*earlier.distilled, *self.distilled)))[:MAX_WORDS],
        )

    def unknown(self, words: Iterable[str]) -> list[str]:
        """Words that the model was not trained with; none if its words are unknown.

        A word is known if it, or its other grammatical number, is a noun of the captions or a
        distilled name, whatever its case. Several words are known together if they are a distilled
        name, or if their head noun is known: "potted plant" as "plant", "glass of water" as
        "glass". So is a compound that captions write as one word, "motor bike".
        """
        if not self.has_words:
            return []
        names = {name.casefold() for name in self.distilled}
        known = {*self.nouns, *names, *map(head_noun, names)}
        return [word for word in words if known.isdisjoint(_forms(word.casefold()))]


def most_frequent(counts: Mapping[str, int]) -> dict[str, int]:
    """The most frequent nouns with their counts, as many as a model stores, in that order."""
    order = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return {noun: count for noun, count in order[:MAX_WORDS] if len(noun) <= LONGEST}


def _forms(word: str) -> set[str]:
    """Spellings under which a word may be known."""
    pieces = word.replace("-", " ").split()
    whole = {word, " ".join(pieces), "".join(pieces)}
    return {form for one in (*whole, head_noun(word)) for form in number_forms(one)}
