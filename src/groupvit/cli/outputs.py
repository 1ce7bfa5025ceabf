"""The files that a run writes: planned before any work, each written whole or not at all."""

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from groupvit.errors import InputError
from groupvit.formats import CocoDataset
from groupvit.imaging import Found
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.result import Segmentation

COCO_FILE = "coco.json"
"""The one file of all images."""
SUFFIXES = {
    "overlay": ".overlay.png",
    "index": ".png",
    "groups": ".groups.png",
    "geojson": ".geojson",
    "npz": ".npz",
}
"""What the files of every image end in."""


class Outputs:
    """Where the results of every image go."""

    def __init__(
        self, found: Sequence[Found], out: Path, formats: Sequence[str], *, overwrite: bool
    ) -> None:
        """Plan all files.

        Raises:
            InputError: A file exists and may not be replaced, would replace an image that is read,
                or the folder cannot be written.
        """
        self.written: list[Path] = []
        self._out = out
        self._paths = _plan(found, out, formats)
        self._with_coco = "coco" in formats
        self._coco: CocoDataset | None = None
        self._refuse([image.path for image in found], overwrite=overwrite)
        _make_writable(out)

    def _refuse(self, images: Sequence[Path], *, overwrite: bool) -> None:
        planned = [path for paths in self._paths.values() for path in paths.values()]
        planned += [self._out / COCO_FILE] if self._with_coco else []
        sources = {image.resolve() for image in images}
        for path in planned:
            if path.resolve() in sources:
                raise InputError(f"{path} is an image that is read; choose another --out")
        there = [path for path in planned if path.exists()]
        if there and not overwrite:
            others = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise InputError(
                f"{there[0]}{others} would be overwritten; choose another --out or pass --overwrite"
            )

    def write(self, image: Found, grouped: GroupedImage, result: Segmentation | None) -> None:
        """Write the files of one image."""
        for kind, path in self._paths[image.name].items():
            if kind == "groups":
                panel = grouped.to_image() if result is None else result.to_groups_image()
                self._write(path, panel.save)
            elif result is not None:
                self._write(path, result.save if kind != "overlay" else result.to_overlay().save)
        if self._with_coco and result is not None:
            self._coco = self._coco or CocoDataset(result.labels)
            self._coco.add(image.name.as_posix(), result.label_map)

    def finish(self) -> None:
        """Write what belongs to all images."""
        if self._coco:
            text = json.dumps(self._coco.to_values(), ensure_ascii=False)
            self._write(self._out / COCO_FILE, lambda path: path.write_text(text, "utf-8"))

    def _write(self, path: Path, save: Callable[[Path], object]) -> None:
        beside = path.with_name(f".partial-{os.getpid()}-{path.name}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(beside)
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
        self.written.append(path)


def _plan(found: Sequence[Found], out: Path, formats: Sequence[str]) -> dict[Path, dict[str, Path]]:
    """The file of every format for every image; images of one stem keep their suffix too."""
    stems = Counter(image.name.with_suffix("") for image in found)
    plan = {}
    for image in found:
        stem = image.name.with_suffix("")
        base = stem if stems[stem] == 1 else image.name
        plan[image.name] = {
            kind: out / base.with_name(base.name + suffix)
            for kind, suffix in SUFFIXES.items()
            if kind in formats
        }
    return plan


def _make_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".partial-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"--out {out} cannot be written: {error.strerror}; choose another folder"
        ) from error
