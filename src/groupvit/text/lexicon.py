"""Lexicon of everyday visible things and stuff: synonyms and narrower words of their names.

Captions have "man" or "jet" where a label is "person" or "aeroplane". The lexicon lists such words
for about 220 kinds of things and stuff. It is general English, and made for no benchmark.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

from groupvit.errors import InputError
from groupvit.text.nouns import head_noun, number_forms

LARGEST: Final = 2**18
"""Largest lexicon [characters]."""


class Entry(NamedTuple):
    """A kind of thing or stuff."""

    names: tuple[str, ...]
    """Names that stand for one another, the usual one first."""
    narrower: tuple[str, ...]
    """Words for some of these things."""
    wider: tuple[str, ...]
    """Words for more than these things that captions use for them: "table" for a dining table."""

    @property
    def words(self) -> tuple[str, ...]:
        """All words."""
        return (*self.names, *self.narrower, *self.wider)


def parse(text: str) -> tuple[Entry, ...]:
    """Entries of a text, one a line; `#` begins a comment line.

    A line has names, narrower words and wider words, with colons between these lists, of which the
    last ones may be missing: `sofa, couch: loveseat`, `coffee table:: table`.

    Plurals that a rule gives are left out: the nouns of a model are counted with their plurals.

    Raises:
        InputError: The text is too long, or a line has no name, an empty word or three colons.
    """
    if len(text) > LARGEST:
        raise InputError(f"the lexicon has {len(text):,} characters; {LARGEST:,} are the most")
    lines = [line.strip() for line in text.splitlines()]
    return tuple(_entry(line) for line in lines if line and not line.startswith("#"))


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """Entries of the lexicon of this package."""
    path = files("groupvit") / "text" / "data" / "lexicon.txt"
    return parse(path.read_text(encoding="utf-8"))


class Found(NamedTuple):
    """Words of the lexicon for a label."""

    words: tuple[str, ...]
    """All words of the entry without the label itself."""
    whole: bool
    """The label is a name in the lexicon; False: only its head noun is."""


@lru_cache(maxsize=4096)
def find(label: str) -> Found | None:
    """Words for a label, whatever its case, hyphens and spaces; None if the lexicon has none.

    A plural has those of its singular. A label of several words that is no name in it has those of
    its head noun, and that noun itself: "wooden chair" those of "chair".
    """
    label = " ".join(label.casefold().split())
    head = head_noun(label)
    entry, whole = _entry_of(label), True
    if entry is None and head != label:
        entry, whole = _entry_of(head), False
    if entry is None:
        return None
    return Found(tuple(word for word in entry.words if word != label), whole)


def words_for(label: str) -> tuple[str, ...]:
    """Words of the lexicon for a label, without itself; see `find`."""
    found = find(label)
    return found.words if found else ()


def broader(noun: str) -> tuple[str, ...]:
    """Usual names of the entries that list this noun as a narrower word: "person" for "man".

    One level: "vehicle" is broader than "car", and "car" than "taxi", but "vehicle" is not given
    for "taxi". Synonyms are not broader.
    """
    return _broader().get(noun.casefold(), ())


def _entry_of(name: str) -> Entry | None:
    forms = (name, *sorted(number_forms(name)))
    found = (_by_name().get(_key(form)) for form in forms)
    return next((entry for entry in found if entry is not None), None)


def _entry(line: str) -> Entry:
    lists = [tuple(filter(None, map(str.strip, part.split(",")))) for part in line.split(":")]
    commas = sum(part.count(",") for part in line.split(":"))
    if not lists[0] or len(lists) > 3 or sum(map(len, lists)) != commas + sum(map(bool, lists)):
        raise InputError(
            f"the line {line!r} of the lexicon is no entry; write names, narrower and wider words, "
            "with commas between words and colons between these lists"
        )
    names, narrower, wider = (*lists, (), ())[:3]
    return Entry(names, narrower, wider)


def _key(name: str) -> str:
    """Name without spaces and hyphens, since data sets write "pottedplant" or "potted-plant"."""
    return name.replace("-", "").replace(" ", "")


@lru_cache(maxsize=1)
def _by_name() -> Mapping[str, Entry]:
    return {_key(name): entry for entry in entries() for name in entry.names}


@lru_cache(maxsize=1)
def _broader() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for entry in entries():
        for word in dict.fromkeys(entry.narrower):
            if word not in entry.names:
                found[word] = (*found.get(word, ()), entry.names[0])
    return found
