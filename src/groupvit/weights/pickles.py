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
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.serialization import safe_globals

from groupvit.errors import InputError

SYSTEM_MODULES = frozenset({"os", "posix", "nt", "sys"})
"""Modules that torch refuses to replace by stubs; a file that names one is hostile."""
STUBS_IN_A_ROW = 8
"""Largest number of settings objects that hold one another without a key."""
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

    def __setstate__(self, state: object) -> None:
        """Keep the state, from which settings are read."""
        self.state = state


class Pickled(NamedTuple):
    """Content of a file that `torch.save` wrote."""

    tensors: dict[str, Tensor]
    settings: object
    """Its `config` entry, whose objects are stubs; None: it has none."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.pth`, `.pt` or `.bin` file: its `model` entry, or all of it.

    Raises:
        InputError: The file is no such file, or holds no tensors by name.
    """
    return read(path).tensors


def setting(settings: object, *keys: str) -> object:
    """A setting under these keys, of plain containers or of stubs; None: there is none."""
    for key in keys:
        settings = _inside(settings)
        settings = settings.get(key) if isinstance(settings, Mapping) else None
    found = _inside(settings)
    return [_inside(one) for one in found] if isinstance(found, (list, tuple)) else found


def _inside(value: object) -> object:
    """Content of a settings object, which OmegaConf keeps in `_content` or `_val`."""
    for _ in range(STUBS_IN_A_ROW):
        state = getattr(value, "state", None) if isinstance(value, Stub) else None
        if not isinstance(state, Mapping):
            return value
        value = state.get("_content", state.get("_val"))
    return None


def read(path: Path) -> Pickled:
    """The tensors and the settings of such a file.

    Raises:
        InputError: The file is no such file, or holds no tensors by name.
    """
    content = _load(path)
    settings = content.get("config") if isinstance(content, Mapping) else None
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no tensors by name; give a checkpoint of a GroupViT")
    tensors = {name: value for name, value in content.items() if _is_entry(name, value)}
    if not tensors:
        raise InputError(f"{path} holds no tensors by name; give a checkpoint of a GroupViT")
    return Pickled(tensors, settings)


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
