"""Caption files of COCO."""

from pathlib import Path

from groupvit.data.pairs import LeftOut, Source, grouped, lies_in
from groupvit.errors import InputError
from groupvit.values import LARGEST_ANNOTATIONS, read_json


def from_coco(path: Path, folder: Path) -> Source:
    """Images of a COCO caption file, in a folder; annotations of unknown images are left out.

    Raises:
        InputError: The file cannot be read or is no COCO caption file, or it names an image
            outside of the folder.
    """
    try:
        values = read_json(path, largest=LARGEST_ANNOTATIONS)
        files = {image["id"]: str(image["file_name"]) for image in values["images"]}
        captions = [(note["image_id"], str(note["caption"])) for note in values["annotations"]]
        left_out = [
            LeftOut(f"{path}, image_id {image!r:.100}", "annotation of an unknown image")
            for image, _ in captions
            if image not in files
        ]
        known = [(folder / files[image], [text]) for image, text in captions if image in files]
        pairs = grouped(known)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is no COCO caption file; it should have images with id and file_name, and "
            "annotations with image_id and caption"
        ) from error
    for image_file in dict.fromkeys(image_file for image_file, _ in known):
        if not lies_in(folder, image_file):
            raise InputError(f"{path} names {image_file}, which is outside of {folder}")
    named = {image for image, _ in captions}
    left_out += [
        LeftOut(str(folder / name), "image without an annotation")
        for image, name in files.items()
        if image not in named
    ]
    return Source(pairs, {"images": len(files), "annotations": len(captions)}, left_out)
