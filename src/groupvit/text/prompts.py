"""Labels of a user, and the prompts made of them: "a photo of a cat."."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from groupvit.errors import InputError

BACKGROUND: Final = "background"
"""Name of the pixels without a label; no label may have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One class to segment: its name and its synonyms."""

    name: str
    """Name in the result: the first of the words."""

    words: tuple[str, ...]
    """Synonyms, at least one; the score of a label is that of its best word."""


def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 class names of ImageNet-1k as edited for CLIP, in the order of the class indices.

    This is the early list of OpenAI CLIP (MIT license) that GroupViT was measured with: "missile"
    and "sunglasses" occur twice in it, so that these four classes are indistinguishable.
    """
    path = files("groupvit") / "text" / "data" / "imagenet.txt"
    return tuple(path.read_text(encoding="utf-8").splitlines())


def parse_label(text: str) -> Label:
    """Label of one word or of synonyms separated by bars: "car|automobile|taxi".

    Whitespace is stripped around words and collapsed inside them; case is kept.

    Raises:
        InputError: The text or a word of it is empty, a word occurs twice, or it is "background".
    """
    words = tuple(" ".join(word.split()) for word in text.split("|"))
    if not any(words):
        raise InputError(f"the label {text!r} is empty; give it a word, such as dog")
    if not all(words):
        raise InputError(
            f"the label {text!r} has an empty word; write a word on both sides of each |, "
            "such as car|automobile|taxi"
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
    return Label(name=words[0], words=words)


def parse_labels(texts: Sequence[str]) -> tuple[Label, ...]:
    """Labels of several texts in their order; see `parse_label` for one text.

    Raises:
        InputError: There are no texts, one of them is no label, or two share a word (regardless of
            case).
    """
    if isinstance(texts, str):
        raise InputError(f"labels is the single string {texts!r}; give a list, such as ['dog']")
    if not texts:
        raise InputError("labels is empty; give at least one word, such as dog")
    labels = tuple(map(parse_label, texts))
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


def prompts(word: str, templates: Iterable[str]) -> list[str]:
    """Prompts of a word: each template with the word in place of {}."""
    # Not str.format: other braces in a template or a word are plain characters.
    return [template.replace("{}", word) for template in templates]
