"""Prompt templates: sentences with {} in place of a word."""

from pathlib import Path
from typing import Final

from groupvit import files
from groupvit.errors import InputError

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

FULL: Final = (
    "a bad photo of a {}.",
    "a photo of many {}.",
    "a sculpture of a {}.",
    "a photo of the hard to see {}.",
    "a low resolution photo of the {}.",
    "a rendering of a {}.",
    "graffiti of a {}.",
    "a bad photo of the {}.",
    "a cropped photo of the {}.",
    "a tattoo of a {}.",
    "the embroidered {}.",
    "a photo of a hard to see {}.",
    "a bright photo of a {}.",
    "a photo of a clean {}.",
    "a photo of a dirty {}.",
    "a dark photo of the {}.",
    "a drawing of a {}.",
    "a photo of my {}.",
    "the plastic {}.",
    "a photo of the cool {}.",
    "a close-up photo of a {}.",
    "a black and white photo of the {}.",
    "a painting of the {}.",
    "a painting of a {}.",
    "a pixelated photo of the {}.",
    "a sculpture of the {}.",
    "a bright photo of the {}.",
    "a cropped photo of a {}.",
    "a plastic {}.",
    "a photo of the dirty {}.",
    "a jpeg corrupted photo of a {}.",
    "a blurry photo of the {}.",
    "a photo of the {}.",
    "a good photo of the {}.",
    "a rendering of the {}.",
    "a {} in a video game.",
    "a photo of one {}.",
    "a doodle of a {}.",
    "a close-up photo of the {}.",
    "a photo of a {}.",
    "the origami {}.",
    "the {} in a video game.",
    "a sketch of a {}.",
    "a doodle of the {}.",
    "a origami {}.",
    "a low resolution photo of a {}.",
    "the toy {}.",
    "a rendition of the {}.",
    "a photo of the clean {}.",
    "a photo of a large {}.",
    "a rendition of a {}.",
    "a photo of a nice {}.",
    "a photo of a weird {}.",
    "a blurry photo of a {}.",
    "a cartoon {}.",
    "art of a {}.",
    "a sketch of the {}.",
    "a embroidered {}.",
    "a pixelated photo of a {}.",
    "itap of the {}.",
    "a jpeg corrupted photo of the {}.",
    "a good photo of a {}.",
    "a plushie {}.",
    "a photo of the nice {}.",
    "a photo of the small {}.",
    "a photo of the weird {}.",
    "the cartoon {}.",
    "art of the {}.",
    "a drawing of the {}.",
    "a photo of the large {}.",
    "a black and white photo of a {}.",
    "the plushie {}.",
    "a dark photo of a {}.",
    "itap of a {}.",
    "graffiti of the {}.",
    "a toy {}.",
    "itap of my {}.",
    "a photo of a cool {}.",
    "a photo of a small {}.",
    "a tattoo of the {}.",
)
"""The 80 templates of OpenAI CLIP for ImageNet (MIT license), used for noun prompts in training."""

_NAMED: Final = {"simple": SIMPLE, "subset": SUBSET, "full": FULL}


def load_templates(name_or_path: str) -> tuple[str, ...]:
    """Templates of a name ("simple", "subset" or "full"), or of a file.

    A file is UTF-8 text with one template per line, each with one {} in place of the word; blank
    lines and lines that begin with # are skipped. A file called like a name needs its folder
    ("./simple").

    Raises:
        InputError: Neither name nor readable file, no template in it, or a line without one {}.
    """
    if name_or_path in _NAMED:
        return _NAMED[name_or_path]
    found = []
    for number, line in enumerate(_read(Path(name_or_path)).splitlines(), start=1):
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


def _read(path: Path) -> str:
    try:
        return files.read_text(path)
    except UnicodeDecodeError:
        raise InputError(f"the template file {path} is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise InputError(
            f"{str(path)!r} is neither one of the templates simple, subset, full nor a file that "
            f"can be read ({error.strerror}); give one of these names or the path of a text file"
        ) from None
