"""Images at web addresses, for `--allow-url`."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from groupvit.errors import InputError

LARGEST = 1 << 26
"""Largest file that is downloaded [bytes]."""
TIMEOUT = 30.0
"""Time without an answer after which a download is given up [s]."""


@contextmanager
def downloaded(images: Sequence[str], *, allow_url: bool) -> Iterator[list[str]]:
    """The images with addresses replaced by paths of temporary files, which are deleted at the end.

    Args:
        images: Files, folders, patterns and addresses.
        allow_url: Addresses are downloaded; else they are refused.

    Raises:
        InputError: An address is given and not allowed, or cannot be downloaded.
    """
    addresses = [image for image in images if re.match(r"https?://", image)]
    if addresses and not allow_url:
        raise InputError(
            f"{addresses[0]} is a web address; pass --allow-url to download it, or give a file"
        )
    with TemporaryDirectory(prefix="groupvit-") as folder:
        paths = {one: str(_download(one, Path(folder))) for one in dict.fromkeys(addresses)}
        yield [paths.get(image, image) for image in images]


def _download(address: str, folder: Path) -> Path:
    try:
        with _opener().open(address, timeout=TIMEOUT) as answer:
            content = answer.read(LARGEST + 1)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise InputError(f"{address} cannot be downloaded: {error}; check the address") from error
    if len(content) > LARGEST:
        raise InputError(f"{address} has more than {LARGEST:,} bytes; download it, and give a file")
    path = _new_path(address, folder)
    path.write_bytes(content)
    return path


def _opener() -> urllib.request.OpenerDirector:
    """Opener of http and https alone: no redirection leads to a file or another protocol."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "groupvit")]
    return opener


def _new_path(address: str, folder: Path) -> Path:
    """Path by the last part of an address, with a number where it is taken."""
    last = unquote(urlsplit(address).path).rstrip("/").rpartition("/")[2]
    name = Path(re.sub(r"[^\w.-]", "_", last).lstrip(".")[-100:] or "image")
    path, number = folder / name, 2
    while path.exists():
        path, number = folder / f"{name.stem}-{number}{name.suffix}", number + 1
    return path
