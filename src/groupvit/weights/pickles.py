"""Reads the tensors of a `torch.save` file without running anything that the file names.

The original's checkpoints pickle settings objects beside the weights. torch's own restricted
unpickler (`weights_only=True`) makes tensors and plain containers; every other class or function
that the file names is replaced by an inert stub before it looks.
"""

import pickle
import pickletools
import struct
import zipfile
import zlib
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator, Mapping
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import safe_globals

from groupvit.errors import InputError

SYSTEM_MODULES = frozenset({"os", "posix", "nt", "sys"})
"""Modules that torch refuses to replace by stubs; a file that names one is hostile."""
NUM_LEGACY_PICKLES = 4
"""Files older than torch 1.6 begin with the pickles magic, protocol, system, object."""


# Everything that zip, pickle and torch raise on damaged data.
_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class Stub:
    """Stands for anything that a file names and that is neither tensor nor container."""

    def __init__(self, *_: object, **__: object) -> None:
        """Swallow whatever the file passes."""

    def __setstate__(self, state: object) -> None: ...


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.pth`, `.pt` or `.bin` file: its `model` entry, or all of it.

    Raises:
        InputError: The file is no such file, or holds no tensors by name.
    """
    content = _load(path)
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no tensors by name; give a checkpoint of a GroupViT")
    tensors = {name: value for name, value in content.items() if _is_entry(name, value)}
    if not tensors:
        raise InputError(f"{path} holds no tensors by name; give a checkpoint of a GroupViT")
    return tensors


def _is_entry(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)


def _load(path: Path) -> Any:
    try:
        with safe_globals([(Stub, name) for name in _named(path)]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(f"{path} is damaged or no file that torch.save wrote") from error


def _named(path: Path) -> set[str]:
    """Every class or function that the file names; torch takes its own before our stubs."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            records = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            pickles = [BytesIO(archive.read(record)) for record in records]
        names = {name for one in pickles for name in _globals(one)}
    else:
        with path.open("rb") as file:
            names = {name for _ in range(NUM_LEGACY_PICKLES) for name in _globals(file)}
    forbidden = sorted(name for name in names if name.split(".")[0] in SYSTEM_MODULES)
    if forbidden:
        raise InputError(
            f"{path} asks to run {forbidden[0]}, which no checkpoint needs; nothing of it was run, "
            "and you should not trust where it came from"
        )
    return names


def _globals(file: BytesIO | BufferedReader) -> Iterator[str]:
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            yield f"{module}.{name}"
            # Protocol 2 writes Python 2's names; torch looks for some of them under the new ones.
            module, name = NAME_MAPPING.get((module, name), (module, name))
            yield f"{IMPORT_MAPPING.get(module, module)}.{name}"
