"""Sizes of the page of `groupvit serve` and of the extra that it needs.

    python -m benchmarks.page_size [REQUIREMENT ...]

prints what a first visit transfers, without and with gzip, and the size of the installed packages
that the extra `demo` adds to groupvit's own; with further requirements, also what they would add.
"""

import sys
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

from packaging.requirements import Requirement

from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import RequestLimits
from groupvit.serving.metrics import Metrics
from groupvit.serving.page.site import Site, StoredFile
from groupvit.serving.service import Service


def main() -> None:
    """Print both tables."""
    segmenter = Segmenter.load("photos", runtime="torch")
    service = Service(segmenter, "photos", RequestLimits(), Metrics())
    files = Site(service).files
    kinds = {
        "markup, styles and scripts": ("/static/", "/"),
        "settings": ("/settings.json",),
        "thumbnails": ("/examples/",),
    }
    print("| a first visit | files | kB | kB with gzip |\n|---|---|---|---|")
    total = [0, 0, 0]
    for kind, beginnings in kinds.items():
        found = [file for path, file in files.items() if _is_loaded(path, beginnings)]
        row = [len(found), sum(len(file.data) for file in found), sum(map(_sent, found))]
        total = [sum(pair) for pair in zip(total, row, strict=True)]
        print(_line(kind, row))
    print(_line("together", total))

    base = _needed([one for one in requires("groupvit") or [] if "extra ==" not in one])
    demo = [one for one in requires("groupvit") or [] if "extra == 'demo'" in one.replace('"', "'")]
    own = [one.partition(";")[0] for one in demo if not one.startswith(tuple(sys.argv[1:] or "/"))]
    print("\n| extra | packages | MB |\n|---|---|---|")
    for name, needed in (("demo", own), ("with more", [*own, *sys.argv[1:]])):
        added = _needed(needed) - base
        print(f"| {name} | {len(added)} | {sum(map(_size, added)) / 1e6:.0f} |")


def _is_loaded(path: str, beginnings: tuple[str, ...]) -> bool:
    if "reference" in path or (path.startswith("/examples/") and not path.endswith(".webp")):
        return False
    return any(path == one or (one != "/" and path.startswith(one)) for one in beginnings)


def _sent(file: StoredFile) -> int:
    return len(file.compressed or file.data)


def _line(kind: str, row: list[int]) -> str:
    return f"| {kind} | {row[0]} | {row[1] / 1e3:.0f} | {row[2] / 1e3:.0f} |"


def _needed(requirements: list[str]) -> set[str]:
    """Names of the installed packages that requirements need, and their own requirements."""
    found, rest = set[str](), [Requirement(one) for one in requirements]
    while rest:
        one = rest.pop()
        name = one.name.lower().replace("_", "-")
        if name in found:
            continue
        try:
            inner = map(Requirement, distribution(name).requires or [])
        except PackageNotFoundError:
            continue
        found.add(name)
        rest += [
            need for need in inner if need.marker is None or need.marker.evaluate({"extra": ""})
        ]
    return found


def _size(name: str) -> int:
    paths = [Path(str(file.locate())) for file in distribution(name).files or []]
    return sum(path.stat().st_size for path in paths if path.is_file())


if __name__ == "__main__":
    main()
