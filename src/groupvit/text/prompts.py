"""Labels that a person gives, and the prompts they become: "a photo of a cat."."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from groupvit.errors import InputError


def _packaged_lines(name: str) -> tuple[str, ...]:
    path = files("groupvit") / "text" / "data" / name
    return tuple(path.read_text(encoding="utf-8").splitlines())


SIMPLE: Final = ("a photo of a {}.",)
"""The one template of segmentation (GroupViT, section 4.1)."""

SUBSET: Final = (
    "itap of a {}.",
    "a bad photo of a {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
"""The 7 templates of zero-shot classification.

CLIP's own list has "a bad photo of the {}."; GroupViT's has "a".
"""

FULL: Final = _packaged_lines("templates.txt")
"""The 80 templates of OpenAI CLIP for ImageNet (MIT license), those of noun prompts in training."""

BACKGROUND: Final = "background"
"""The word that no label may have: it means the pixels that no label claims."""

_NAMED: Final = {"simple": SIMPLE, "subset": SUBSET, "full": FULL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One thing to look for in an image."""

    name: str
    """What the answer calls it: the first of its words."""

    words: tuple[str, ...]
    """All words for it, at least one; the one that fits best counts."""


def _read_templates(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"the template file {path} is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise InputError(
            f"{str(path)!r} is neither one of the templates simple, subset, full nor a file that "
            f"can be read ({error.strerror}); give one of these names or the path of a text file"
        ) from None


def templates(name_or_path: str) -> tuple[str, ...]:
    """Templates of a name, "simple", "subset" or "full", or of a file.

    A file is UTF-8 text with one template per line, each with one {} where the word goes; blank
    lines and lines that begin with # are skipped. A file called like a name needs its folder
    ("./simple").

    Raises:
        InputError: Neither name nor readable file, no template in it, or a line without one {}.
    """
    if name_or_path in _NAMED:
        return _NAMED[name_or_path]
    found = []
    for number, line in enumerate(_read_templates(Path(name_or_path)).splitlines(), start=1):
        template = line.strip()
        if not template or template.startswith("#"):
            continue
        if template.count("{}") != 1:
            raise InputError(
                f"{name_or_path}, line {number}: {template!r} has {template.count('{}')} places "
                "for the word; write exactly one {}, such as a photo of a {}."
            )
        found.append(template)
    if not found:
        raise InputError(
            f"the template file {name_or_path} has no template; "
            "write at least one line, such as a photo of a {}."
        )
    return tuple(found)


def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 class names of ImageNet-1k as edited for CLIP, in the order of the class indices.

    This is the early list of OpenAI CLIP (MIT license) that GroupViT was measured with: "missile"
    and "sunglasses" stand twice in it, so that these four classes cannot be told apart.
    """
    return _packaged_lines("imagenet.txt")


def parse_label(text: str) -> Label:
    """Label of one word or of synonyms with bars between: "car|automobile|taxi".

    Whitespace around words is stripped and inside collapsed; upper and lower case are kept.

    Raises:
        InputError: The text or a word of it is empty, a word stands twice, or it is "background".
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
            "'background' is what no word claims; ask for it with the background option instead, "
            "e.g. --background 0.95"
        )
    for word, key in zip(words, folded, strict=True):
        if folded.count(key) > 1:
            raise InputError(f"the label {text!r} has the word {word!r} more than once; keep one")
    return Label(name=words[0], words=words)


def parse_labels(texts: Sequence[str]) -> tuple[Label, ...]:
    """Labels of their texts in the given order; see `parse_label` for one text.

    Raises:
        InputError: There are no texts, one of them is no label, or two share a word (upper and
            lower case count as equal).
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
    # Not str.format: other braces in a template or a word mean themselves.
    return [template.replace("{}", word) for template in templates]
