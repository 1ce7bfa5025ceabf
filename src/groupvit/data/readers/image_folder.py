"""Folders in the layout `imagefolder` of Hugging Face: images, and a table of metadata."""

from pathlib import Path

from groupvit import image_files
from groupvit.data.pairs import NO_CAPTION, LeftOut, Source
from groupvit.data.readers.json_lines import from_json_lines
from groupvit.data.readers.text_table import Layout, from_text_table

METADATA = ("metadata.jsonl", "metadata.csv")
"""Files of metadata, of which the first that exists is read."""
IMAGE_KEY = "file_name"
"""Key or column of the image, relative to the folder of the file."""


def metadata_of(folder: Path) -> Path | None:
    """The file of metadata directly in a folder; None if it has none."""
    return next((folder / name for name in METADATA if (folder / name).is_file()), None)


def from_image_folder(metadata: Path, *, caption_key: str) -> Source:
    """Images that a file of metadata names, and the others of its folder as left out.

    Args:
        metadata: One of `METADATA`, in the folder of the images.
        caption_key: Key or column of the captions.

    Raises:
        InputError: The file cannot be read or has no such key, or there are no images.
    """
    folder = metadata.parent
    if metadata.suffix == ".csv":
        layout = Layout(image_column=IMAGE_KEY, caption_column=caption_key)
        found = from_text_table(metadata, folder, layout)
    else:
        found = from_json_lines(metadata, folder, image_key=IMAGE_KEY, caption_key=caption_key)
    named = {pair.image for pair in found.pairs}
    images = [image.path for image in image_files.find([folder])]
    others = [LeftOut(str(path), NO_CAPTION) for path in images if path not in named]
    read = {"images": len(images), **found.read}
    return Source(found.pairs, read, [*found.left_out, *others])
