"""`groupvit doctor`: versions, processor, GPU, caches and extras of this installation."""

import os
import platform
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from groupvit.version import VERSION


def doctor() -> int:
    """Show versions, processor features, GPU, caches and extras, for a report of an error.

    Nothing is sent anywhere.
    """
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, value in (*_versions(), *_hardware(), *_folders(), *_extras()):
        table.add_row(name, value)
    Console(highlight=False, markup=False, soft_wrap=True).print(table)
    return 0


def _versions() -> Iterator[tuple[str, str]]:
    from PIL import features

    yield "groupvit", f"{VERSION} in {Path(__file__).parents[1]}"
    yield "Python", f"{platform.python_version()} in {sys.prefix}"
    yield "system", platform.platform()
    for name in ("torch", "numpy", "safetensors", "huggingface-hub"):
        yield name, version(name)
    kinds = ("jpg", "zlib", "webp", "avif", "libtiff", "littlecms2", "raqm")
    found = ", ".join(kind for kind in kinds if features.check(kind))
    yield "pillow", f"{version('pillow')}, with {found}"


def _hardware() -> Iterator[tuple[str, str]]:
    import torch

    yield "processor", platform.processor() or platform.machine()
    capability = torch.backends.cpu.get_cpu_capability()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "cores", f"{usable} usable, {torch.get_num_threads()} threads of torch, {capability}"
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield f"cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        yield "mps", "available"
    if not torch.cuda.device_count() and not torch.backends.mps.is_available():
        yield "GPU", "none that torch can use"


def _folders() -> Iterator[tuple[str, str]]:
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    models = sorted(path.name for path in cache.glob("models--*groupvit*"))
    state = "; ".join(models) if models else "holds no GroupViT"
    yield "hub cache", f"{cache}: {state if cache.is_dir() else 'does not exist yet'}"
    if constants.HF_HUB_OFFLINE:
        yield "", "HF_HUB_OFFLINE is set: nothing is downloaded"
    yield "working folder", f"{Path.cwd()}: {shutil.disk_usage('.').free / 2**30:.0f} GiB free"


def _extras() -> Iterator[tuple[str, str]]:
    """Packages of every extra, with their versions."""
    for extra, names in sorted(_packages_of_extras().items()):
        found = {name: _version(name) for name in names}
        missing = [name for name, number in found.items() if number is None]
        present = ", ".join(f"{name} {number}" for name, number in found.items() if number)
        lacks = f"missing: {', '.join(missing)}" if missing else ""
        yield f"extra {extra}", "; ".join(filter(None, (present, lacks)))


def _packages_of_extras() -> dict[str, list[str]]:
    """Packages by extra, without those of `all`."""
    packages = defaultdict[str, list[str]](list)
    for line in requires("groupvit") or ():
        match = re.fullmatch(r"""([\w.-]+)(?!\[).*;\s*extra == ['"]([\w-]+)['"]""", line)
        if match and match[1] != "groupvit" and match[2] != "all":
            packages[match[2]].append(match[1])
    return packages


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
