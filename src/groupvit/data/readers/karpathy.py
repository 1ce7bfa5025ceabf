"""Caption files of Karpathy & Fei-Fei 2015: COCO, Flickr8k and Flickr30k with their splits."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from groupvit.data.pairs import OUTSIDE, LeftOut, Source, grouped, lies_in
from groupvit.errors import InputError
from groupvit.values import LARGEST_ANNOTATIONS, read_json

_MALFORMED = "entry without filename, split or sentences"


def from_karpathy(path: Path, folder: Path, *, splits: Sequence[str]) -> Source:
    """Images of some splits of a caption file; entries that cannot be used are left out.

    Args:
        path: The file, such as dataset_flickr8k.json.
        folder: Folder of the images. If it has the folders that the file names (`filepath`, such as
            val2014), images are in these.
        splits: Splits to read: train, restval, val, test.

    Raises:
        InputError: The file cannot be read or is no such file, or lacks a split.
    """
    left_out, captions, counts = [], [], Counter[str]()
    is_folder = cache(Path.is_dir)
    for number, entry in enumerate(_entries(path)):
        where = f"{path}, image {number}"
        texts = _sentences(entry)
        if texts is None:
            left_out.append(LeftOut(where, _MALFORMED))
            continue
        counts[entry["split"]] += 1
        if entry["split"] not in splits:
            continue
        below = entry.get("filepath")
        parent = folder
        if isinstance(below, str) and lies_in(folder, folder / below) and is_folder(folder / below):
            parent = folder / below
        image = parent / entry["filename"]
        if lies_in(folder, image):
            captions.append((image, texts))
        else:
            left_out.append(LeftOut(where, OUTSIDE))
    for split in splits:
        if split not in counts:
            raise InputError(
                f"{path} has no split {split!r}; it has {', '.join(sorted(counts)) or 'none'}. "
                "Name some with --split"
            )
    read = {"images": counts.total(), f"images of {', '.join(splits)}": len(captions)}
    return Source(grouped(captions), read, left_out)


def _entries(path: Path) -> list[Any]:
    try:
        values = read_json(path, largest=LARGEST_ANNOTATIONS)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON file: {error}") from error
    entries = values.get("images") if isinstance(values, dict) else None
    if not isinstance(entries, list):
        raise InputError(
            f"{path} is no caption file of Karpathy; it should have a list of images with "
            "filename, split and sentences"
        )
    return entries


def _sentences(entry: Any) -> list[str] | None:
    """Captions of a whole entry, otherwise None."""
    if not isinstance(entry, dict):
        return None
    if not all(isinstance(entry.get(key), str) and entry[key] for key in ("filename", "split")):
        return None
    sentences = entry.get("sentences")
    if not isinstance(sentences, list):
        return None
    texts: list[Any] = [one.get("raw") if isinstance(one, dict) else one for one in sentences]
    return texts if all(isinstance(one, str) for one in texts) else None
