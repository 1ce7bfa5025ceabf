"""Temporary file for images that lie inside other files, which are read in another order."""

from contextlib import ExitStack
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from types import TracebackType

from groupvit import files
from groupvit.data.pairs import StoredImage
from groupvit.errors import InputError


class Spool:
    """Bytes of images in a file that is deleted with the context; equal images are stored once.

    Nothing is written before the first image.

    Args:
        folder: Folder for the file; made if missing.
        name: Name of the outputs that the images are for.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, f"{name}-images"
        self._stack = ExitStack()
        self._path = folder  # of the file, once there is one
        self._file: FileIO | None = None
        self._stored: dict[bytes, StoredImage] = {}

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def add(self, name: str, content: bytes) -> StoredImage:
        """Store an image file.

        Args:
            name: Name of the image in messages.
            content: Bytes of the file.

        Raises:
            InputError: The disk refuses.
        """
        digest = blake2b(content, digest_size=16).digest()
        if digest not in self._stored:
            try:
                self._stored[digest] = self._written(name, content)
            except OSError as error:
                raise InputError(f"{self._folder} cannot be written: {error.strerror}") from error
        return self._stored[digest]

    def _written(self, name: str, content: bytes) -> StoredImage:
        if self._file is None:
            folder = self._stack.enter_context(files.temporary_folder(self._folder, self._name))
            self._path = folder / "images"
            self._file = self._stack.enter_context(FileIO(self._path, "w"))
        offset = self._file.tell()
        rest = memoryview(content)
        while rest:  # without a buffer, a part may be written
            rest = rest[self._file.write(rest) :]
        return StoredImage(name, self._path, offset, len(content))
