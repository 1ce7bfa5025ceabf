"""Folders of images with captions in text and JSON files beside them, or in one file for all."""

from contextlib import suppress
from pathlib import Path

from groupvit import image_files
from groupvit.data import tables
from groupvit.data.caption_texts import captions_of
from groupvit.data.pairs import NO_CAPTION, LeftOut, Pair, Source, grouped
from groupvit.errors import InputError

CAPTION_FILES = ("captions.csv", "captions.txt")
"""Files with all captions of a folder."""


def from_folder(folder: Path, *, caption_key: str = "caption") -> Source:
    """All images in a folder and the folders below, with captions from text files.

    The captions of `a.jpg` are the lines of `a.txt` beside it, or the field `caption_key` of
    `a.json`, one text or a list of them. If the folder has `captions.csv` or `captions.txt`, its
    lines are read too: file name, comma, semicolon or tab, caption; a header "image", "caption" is
    skipped. Images without a caption are left out then.

    Raises:
        InputError: There are no images, or the captions cannot be read.
    """
    for name in CAPTION_FILES:
        if (folder / name).exists():
            return _merged(folder, folder / name, caption_key)
    beside, left_out = _beside(folder, caption_key)
    texts = sum(bool(pair.captions) for pair in beside)
    return Source(beside, {"images": len(beside), "caption files": texts}, left_out)


def _beside(folder: Path, caption_key: str) -> tuple[list[Pair], list[LeftOut]]:
    """Images with the captions beside them; those with an unreadable text file are left out."""
    pairs, left_out = [], []
    search = image_files.search([folder])
    for image in search.images:
        try:
            texts = [_text_beside(image.path, suffix) for suffix in (".txt", ".json")]
            pairs.append(Pair(image.path, captions_of(*texts, key=caption_key)))
        except InputError as error:
            kind = "caption file that is not UTF-8 or cannot be read"
            left_out.append(LeftOut(str(image.path), kind, str(error)))
    for kind, paths in search.skipped.items():
        left_out += [LeftOut(str(path), kind) for path in paths]
    return pairs, left_out


def _text_beside(image: Path, suffix: str) -> str | None:
    for written in (suffix, suffix.upper()):
        path = image.with_suffix(written)
        if path.exists():
            return tables.text_of(path)
    return None


def _merged(folder: Path, path: Path, caption_key: str) -> Source:
    """Captions of the file for all, and those beside the images without repetition."""
    beside, left_out = list[Pair](), list[LeftOut]()
    with suppress(InputError):  # the file may name images elsewhere
        beside, left_out = _beside(folder, caption_key)
    found, captions = list(tables.rows(path)), []
    first = [cell.strip().lower() for cell in found[0].cells[:2]]
    for line, cells, delimiter in found[int("caption" in first) :]:
        if len(cells) > 1 and cells[0].strip():
            captions.append((folder / cells[0].strip(), delimiter.join(cells[1:])))
        elif cells != [""]:
            left_out.append(LeftOut(f"{path}, line {line}", "row with too few cells"))
    named = {pair.image: pair for pair in grouped((image, [text]) for image, text in captions)}
    texts = 0
    for pair in beside:
        texts += bool(pair.captions)
        before = named[pair.image].captions if pair.image in named else ()
        both = before + tuple(text for text in pair.captions if text not in before)
        if both or pair.image in named:
            named[pair.image] = Pair(pair.image, both)
        else:
            left_out.append(LeftOut(str(pair.image), NO_CAPTION))
    read = {"images": len(beside), f"rows of {path.name}": len(captions), "caption files": texts}
    return Source(list(named.values()), read, left_out)
