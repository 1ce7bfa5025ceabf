"""Labels of a user, and the prompts made of them: "a photo of a cat.".

Labels are written in one way everywhere: commas separate them, bars separate their synonyms, and
quotation marks around a word keep the commas and bars in it: sky, car|taxi, "salt, pepper".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import chain
from typing import Final

from groupvit.errors import InputError

BACKGROUND: Final = "background"
"""Name of the pixels without a label; no label may have it."""

MAX_WORDS, LONGEST_WORD = 2**15, 1000
"""Largest number of words of all labels, and their longest [characters]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One class to segment: its name and its synonyms."""

    name: str
    """Name in the result: the first of the words."""

    words: tuple[str, ...]
    """Synonyms, at least one; their scores add, or the best one counts, by the protocol."""

    quoted: bool = field(default=False, compare=False)
    """It was written in quotation marks, which keep it as it is."""


def list_of_texts(texts: Iterable[str], *, name: str) -> list[str]:
    """Texts of a list, tuple, array or generator, which may not be one text.

    Args:
        texts: Labels or words, as a user gives them.
        name: Name of the argument in error messages.

    Raises:
        InputError: It is a single text, nothing that holds texts, or holds something else.
    """
    if isinstance(texts, str):
        raise InputError(f"{name} is the single string {texts!r}; give a list, such as ['dog']")
    if not isinstance(texts, Iterable) or isinstance(texts, bytes):
        raise InputError(f"{name} is {texts!r}; give a list of texts, such as ['dog']")
    try:
        found = list(texts)
    except TypeError:  # an array without axes
        raise InputError(f"{name} is {texts!r}; give a list of texts, such as ['dog']") from None
    for text in found:
        if not isinstance(text, str):
            raise InputError(f"{name} holds {text!r}, which is no text; give texts, such as 'dog'")
    return found


def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 class names of ImageNet-1k as edited for CLIP, in the order of the class indices.

    This is the early list of OpenAI CLIP (MIT license) that GroupViT was measured with: "missile"
    and "sunglasses" occur twice in it, so that these four classes are indistinguishable.
    """
    path = files("groupvit") / "text" / "data" / "imagenet.txt"
    return tuple(path.read_text(encoding="utf-8").splitlines())


def split_labels(texts: Iterable[str]) -> tuple[str, ...]:
    """Texts of single labels: texts split at the commas that no quotation marks enclose.

    Nothing between two commas is no label: "sky, car," has two. An empty text is kept.

    Raises:
        InputError: A quotation mark is not closed.
    """
    return tuple(chain.from_iterable(_labels_in(text) for text in texts))


def split_words(texts: Iterable[str]) -> tuple[str, ...]:
    """Words of texts, split like labels, without their quotation marks.

    Raises:
        InputError: A quotation mark is not closed.
    """
    return tuple(_unquoted(label) for label in split_labels(texts))


def quoted(word: str) -> str:
    """Text of a label with exactly this word, whatever commas, bars and quotation marks it has."""
    return '"' + word.replace('"', '""') + '"'


def parse_label(text: str) -> Label:
    """Label of one word or of synonyms separated by bars: "car|automobile|taxi".

    Whitespace is stripped around words and collapsed inside them; case is kept.

    Raises:
        InputError: The text or a word of it is empty, a word occurs twice, it is "background", a
            comma makes it several labels, or a quotation mark is not closed.
    """
    if len(_labels_in(text)) > 1:
        raise InputError(
            f"{text!r} is several labels, since commas separate them; give one, or put "
            'quotation marks around a word with a comma, such as "salt, pepper"'
        )
    words = tuple(" ".join(_unquoted(word).split()) for word in _split(text, "|"))
    if not any(words):
        raise InputError(f"the label {text!r} is empty; give it a word, such as dog")
    if not all(words):
        raise InputError(
            f"the label {text!r} has an empty word; write a word on both sides of each |, "
            "such as car|automobile|taxi"
        )
    if len(words) > MAX_WORDS or max(map(len, words)) > LONGEST_WORD:
        raise InputError(
            f"the label {text[:40]!r}... has {len(words):,} words and one of "
            f"{max(map(len, words)):,} characters; {MAX_WORDS:,} words of {LONGEST_WORD:,} "
            "characters are the most"
        )
    folded = [word.casefold() for word in words]
    if BACKGROUND in folded:
        raise InputError(
            "'background' means pixels without a label; use the background option instead, "
            "e.g. --background 0.95"
        )
    for word, key in zip(words, folded, strict=True):
        if folded.count(key) > 1:
            raise InputError(f"the label {text!r} has the word {word!r} more than once; keep one")
    return Label(name=words[0], words=words, quoted=text.lstrip().startswith('"'))


def parse_labels(texts: Iterable[str]) -> tuple[Label, ...]:
    """Labels of several texts in their order; a text may hold several, separated by commas.

    See `split_labels`, and `parse_label` for one label.

    Raises:
        InputError: There are no texts, one of them is no label, or two share a word (regardless of
            case).
    """
    texts = list_of_texts(texts, name="labels")
    if not texts:
        raise InputError("labels is empty; give at least one word, such as dog")
    single = split_labels(texts)
    number = sum(1 + text.count("|") for text in single)
    if number > MAX_WORDS:
        raise InputError(f"the labels have {number:,} words; {MAX_WORDS:,} are the most")
    labels = tuple(map(parse_label, single))
    if not labels:
        raise InputError("labels are nothing but commas; give at least one word, such as dog")
    owners: dict[str, Label] = {}
    for label in labels:
        for word in label.words:
            owner = owners.setdefault(word.casefold(), label)
            if owner is label:
                continue
            if word.casefold() == label.name.casefold() == owner.name.casefold():
                raise InputError(f"the label {label.name!r} is given twice; keep one of them")
            raise InputError(
                f"the word {word!r} is in two labels, {owner.name!r} and {label.name!r}; "
                "keep it in one of them"
            )
    return labels


def _labels_in(text: str) -> list[str]:
    pieces = [piece.strip() for piece in _split(text, ",")]
    return pieces if len(pieces) == 1 else list(filter(None, pieces))


_QUOTED_OR_SEPARATOR = re.compile(r"""(?:^|(?<=[,|]))\s*"(?P<closed>(?:[^"]|"")*")?|[,|]""")
"""A quoted word where a word begins, in which "" stands for one quotation mark; or a separator."""


def _split(text: str, separator: str) -> list[str]:
    """Pieces of a text between separators; none separates inside quotation marks.

    A quotation mark opens where a word begins; inside a word it is a plain character: 5" pipe.
    """
    pieces, start = list[str](), 0
    for match in _QUOTED_OR_SEPARATOR.finditer(text):
        if match[0] == separator:
            pieces.append(text[start : match.start()])
            start = match.end()
        elif match[0].endswith('"') and not match["closed"]:
            raise InputError(
                f"the label {text!r} has a quotation mark that is not closed; close it"
            )
    return [*pieces, text[start:]]


def _unquoted(text: str) -> str:
    """Word without the quotation marks around it."""
    word = text.strip()
    if len(word) < 2 or not word.startswith('"') or not word.endswith('"'):
        return word
    return word[1:-1].replace('""', '"')


def prompts(word: str, templates: Iterable[str]) -> list[str]:
    """Prompts of a word: each template with the word in place of {}."""
    # Not str.format: other braces in a template or a word are plain characters.
    return [template.replace("{}", word) for template in templates]
