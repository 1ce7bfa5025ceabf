"""Reads the tensors of a `torch.save` file without running anything that the file names.

The original's checkpoints pickle settings objects beside the weights. torch's own restricted
unpickler (`weights_only=True`) makes tensors and plain containers; every other class or function
that the file names is replaced by an inert stub before it looks.
"""

import pickle
import pickletools
import struct
import warnings
import zipfile
import zlib
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator, Mapping
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._weights_only_unpickler import Unpickler
from torch.serialization import safe_globals
from torch.storage import TypedStorage

from groupvit.errors import InputError

SYSTEM_MODULES = frozenset({"os", "posix", "nt", "sys"})
"""Modules that torch refuses to replace by stubs; a file that names one is hostile."""
STUBS_IN_A_ROW = 8
"""Largest number of settings objects that hold one another without a key."""
NUM_LEGACY_PICKLES = 4
"""Files older than torch 1.6 begin with the pickles magic, protocol, system, object."""
MAX_COMPRESSION = 8
"""Largest ratio of a compressed archive's content to its size."""


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
    for name, tensor in tensors.items():
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise InputError(f"{path}: {name} repeats its values, so that it has any size")
    if not tensors:
        raise InputError(f"{path} holds no tensors by name; give a checkpoint of a GroupViT")
    return Pickled(tensors, settings)


def _is_entry(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)


def _load(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about other versions of the format
            with safe_globals([(Stub, name) for name in _named(path)]):
                _check_storages(path)
                return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(f"{path} is damaged or no file that torch.save wrote") from error


def _check_storages(path: Path) -> None:
    """Check that a file is as large as the storages that it declares, before they are allocated."""
    size = path.stat().st_size
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            declared = sum(_declared(file, size) for _ in range(NUM_LEGACY_PICKLES))
        _check_size(path, declared, size)
        return
    with zipfile.ZipFile(path) as archive:
        records = {record.filename: record.file_size for record in archive.infolist()}
        # torch compresses nothing; others may, and weights shrink little.
        _check_size(path, sum(one.file_size for one in archive.infolist()), MAX_COMPRESSION * size)
        for record in records:
            if record.endswith("/data.pkl"):
                content = BytesIO(archive.read(record))
                _declared(content, size, records, record.removesuffix(".pkl"))


def _declared(
    file: BytesIO | BufferedReader,
    largest: int,
    records: Mapping[str, int] | None = None,
    folder: str = "",
) -> int:
    """Size of the storages that a pickle declares, each once [bytes].

    Args:
        file: The pickle, read by torch's own unpickler with storages that hold no memory.
        largest: Largest size of a storage.
        records: Sizes of the files in the archive; None: the storages are behind the pickles.
        folder: Folder of the storages in the archive.
    """
    sizes: dict[str, int] = {}
    storage: Any = TypedStorage  # torch has no types for these three
    memory: Any = torch.UntypedStorage

    def declare(place: tuple[Any, ...]) -> TypedStorage:
        kind, storage_type, key, _, number = place[:5]
        if kind != "storage":
            raise ValueError(f"no storage but {kind!r:.40}")
        dtype = torch.uint8 if storage_type is torch.UntypedStorage else storage_type.dtype
        size = number * dtype.itemsize
        available = largest if records is None else records[f"{folder}/{key}"]
        if not 0 <= size <= available:
            raise ValueError(f"storage {key!r:.40} has {size} bytes, and {available} are there")
        sizes[key] = size
        made: TypedStorage = storage(
            wrap_storage=memory(size, device="meta"), dtype=dtype, _internal=True
        )
        return made

    unpickler: Any = Unpickler(file, encoding="utf-8")
    unpickler.persistent_load = declare
    unpickler.load()
    return sum(sizes.values())


def _check_size(path: Path, declared: int, largest: int) -> None:
    if declared > largest:
        raise InputError(
            f"{path} declares {declared:,} bytes of weights, more than the file can hold; it is "
            "damaged"
        )


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
