"""Mark of an unfinished run in its output folder: the manifest, until all images are done."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from groupvit import files
from groupvit.errors import InputError
from groupvit.segmentation.folder import Outputs
from groupvit.segmentation.manifest import Manifest, from_text

FILE = ".groupvit-unfinished.json"


def read(folder: Path) -> Manifest | None:
    """Manifest of the run that was interrupted in this output folder; None: there is none.

    Raises:
        InputError: The mark is damaged.
    """
    path = folder / FILE
    try:
        return from_text(files.read_text(path), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def inputs(outputs: Outputs) -> dict[str, str]:
    """Size and time of each image, by the name of its outputs; those that are gone have none."""
    states = {}
    for image in outputs.images:
        with suppress(OSError):
            status = image.path.stat()
            states[image.name.as_posix()] = f"{status.st_size}-{status.st_mtime_ns}"
    return states


@contextmanager
def marked(outputs: Outputs, manifest: Manifest, before: Manifest | None) -> Iterator[None]:
    """Keep the mark in the output folder until the run is over, or fails with nothing written.

    Args:
        outputs: Files of the run.
        manifest: Its settings and images.
        before: Manifest of the run that it resumes; None: it begins.

    Raises:
        InputError: Settings or images differ from those of the run that it resumes, or the mark
            cannot be written.
    """
    path = outputs.folder / FILE
    if before is not None:
        manifest = manifest.resumed(before, str(outputs.folder))
    files.write_text(path, manifest.to_text())
    try:
        yield
    except BaseException:
        if not outputs.written and len(outputs.remaining) == len(outputs.images):
            path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)


@contextmanager
def unmarked(outputs: Outputs) -> Iterator[None]:
    """Remove the mark of an earlier run, for a run that cannot be resumed."""
    (outputs.folder / FILE).unlink(missing_ok=True)
    yield
