"""Arithmetic of this machine's processor that decides how fast it computes."""

from pathlib import Path
from typing import NamedTuple

CPUINFO = Path("/proc/cpuinfo")
"""Description of the processors, on Linux."""
EXTENSIONS = {
    "amx_tile": "AMX",
    "avx512_bf16": "AVX-512 bf16",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
    "asimd": "NEON",
}
"""Names of the flags that matter to products of matrices, in the order in which they are shown."""


class Processor(NamedTuple):
    """A processor; both fields are empty where the system does not describe it."""

    name: str
    """Name, as the maker writes it."""
    flags: frozenset[str]
    """Extensions of its instruction set, as Linux names them."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """Those of the extensions that matter to products of matrices."""
        return tuple(name for flag, name in EXTENSIONS.items() if flag in self.flags)

    def __str__(self) -> str:
        return (
            f"{self.name or 'unknown processor'} ({', '.join(self.extensions) or 'no extension'})"
        )


def read(file: Path = CPUINFO) -> Processor:
    """The first processor of this machine."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        return Processor("", frozenset())
    pairs = (line.partition(":") for line in lines)
    values = {name.strip(): value.strip() for name, _, value in pairs}
    flags = values.get("flags", values.get("Features", ""))
    return Processor(values.get("model name", ""), frozenset(flags.split()))
