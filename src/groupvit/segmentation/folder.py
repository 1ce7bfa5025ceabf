"""Segmenting many image files: outputs are planned first, and a broken image stops no other.

```python
outputs = Outputs(["photos"], Path("out"), formats=("overlay", "coco"))
report = segment_files(segmenter, outputs, ["dog", "grass", "sky"])
```
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from os.path import normcase
from pathlib import Path
from typing import Literal, get_args

from groupvit import image_files, imaging
from groupvit.errors import InputError
from groupvit.files import make_folder, new_file, remove_leftovers, write_text
from groupvit.formats import Format, georeference
from groupvit.formats.coco import CocoDataset
from groupvit.image_files import ImageFile
from groupvit.segmentation.each import Labeling, segment_each
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.labels import Labels
from groupvit.segmentation.result import Segmentation
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background

SUFFIXES: dict[Format, str] = {
    "overlay": ".overlay.png",
    "index": ".png",
    "groups": ".groups.png",
    "geojson": ".geojson",
    "npz": ".npz",
}
"""Suffixes of the files of each image."""
COCO_FILE = "coco.json"
"""Name of the file for all images together."""


@dataclass(kw_only=True)
class Report:
    """Outcome of the images of a run."""

    num_done: int = 0
    """Number of images whose files were written, by this run or the one that it resumes."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Error message of each image that was left out."""
    last: Segmentation | None = None
    """Result for the last image; None if there were no labels."""


class Outputs:
    """Images to segment, and the files to write for them; nothing is written before all is planned.

    Args:
        images: Image files, folders, or patterns such as "photos/*.jpg".
        folder: Folder for the files; a folder below an input folder stays below it.
        formats: Kinds of files: those of `Format`.
        overwrite: Replace files that exist.
        begun: Names of the images of the same run, which was interrupted; their files are kept.

    Raises:
        InputError: An image does not exist, a file exists already or is one of the images, or the
            folder cannot be written.
    """

    def __init__(
        self,
        images: Sequence[str | Path],
        folder: Path,
        *,
        formats: Sequence[str] = ("overlay", "index"),
        overwrite: bool = False,
        begun: Collection[str] = (),
    ) -> None:
        for name in formats:
            if name not in get_args(Format):
                known = ", ".join(get_args(Format))
                raise InputError(f"there is no format {name!r}; known are {known}")
        found = image_files.search(images, outputs=folder)
        self.images = found.images
        self.skipped = found.describe_skipped()
        """Number and names of files and folders that are no images to read; or empty."""
        self.folder = folder
        self.written: list[Path] = []
        """Files that are complete, in the order in which they were written."""
        self._paths = _plan(self.images, folder, formats)
        self._coco_file = folder / COCO_FILE if "coco" in formats else None
        self._coco: CocoDataset | None = None
        self._begun = frozenset(begun)
        self._refuse_replacing(overwrite=overwrite)
        make_folder(folder)  # refused now rather than after the first image
        self._remove_leftovers()
        self.remaining = [image for image in self.images if not self._is_done(image)]
        """Images whose files are not all there yet."""

    def _is_done(self, image: ImageFile) -> bool:
        """True if an interrupted run wrote all files of an image; the COCO file needs all again."""
        if self._coco_file is not None or image.name.as_posix() not in self._begun:
            return False
        return all(path.exists() for path in self._paths[image].values())

    def _refuse_replacing(self, *, overwrite: bool) -> None:
        planned: list[Path] = []
        inputs = set()
        for image, paths in self._paths.items():
            inputs.add(image.path.resolve())
            if image.name.as_posix() not in self._begun:
                planned += paths.values()
        if self._coco_file is not None and not self._begun:
            planned.append(self._coco_file)
        existing = []
        for path in planned:
            if path.resolve() in inputs:
                raise InputError(f"{path} is an image that is read; choose another folder")
            if path.exists():
                existing.append(path)
        if existing and not overwrite:
            others = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
            raise InputError(
                f"{existing[0]}{others} would be overwritten; choose another folder or pass "
                "--overwrite"
            )

    def _remove_leftovers(self) -> None:
        """Delete temporary files of a run with the same files that was killed."""
        names: dict[Path, list[str]] = {self.folder: [COCO_FILE]}
        for paths in self._paths.values():
            for path in paths.values():
                names.setdefault(path.parent, []).append(path.name)
        for folder, some in names.items():
            remove_leftovers(folder, *some)

    def write(self, image: ImageFile, grouped: GroupedImage, result: Segmentation | None) -> None:
        """Write the files of one image.

        Args:
            image: One of `images`.
            grouped: Its groups.
            result: Its segmentation; without one, only `groups` are written.

        Raises:
            InputError: A file cannot be written.
        """
        mark = image_files.output_mark()
        for kind, path in self._paths[image].items():
            if result is None and kind != "groups":
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with new_file(path) as beside:
                if result is None:
                    grouped.to_image().save(beside, pnginfo=mark)
                elif kind == "groups":
                    result.to_groups_image().save(beside, pnginfo=mark)
                elif kind == "overlay":
                    result.to_overlay().save(beside, pnginfo=mark)
                elif kind == "index":
                    result.to_index_image().save(beside, pnginfo=mark)
                elif kind == "geojson" and (place := georeference.read(image.path)) is not None:
                    values = place.applied(result.to_geojson())
                    beside.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
                else:
                    result.save(beside)
            self.written.append(path)
        if self._coco_file is not None and result is not None:
            self._coco = self._coco or CocoDataset(result.labels)
            self._coco.add(image.name.as_posix(), result.label_map)

    def finish(self) -> None:
        """Write the file for all images together.

        Raises:
            InputError: It cannot be written.
        """
        if self._coco_file is not None and self._coco is not None:
            write_text(self._coco_file, json.dumps(self._coco.to_values(), ensure_ascii=False))
            self.written.append(self._coco_file)


def segment_files(
    segmenter: Segmenter,
    outputs: Outputs,
    labels: Sequence[str] | Labels | Mapping[ImageFile, Sequence[str]],
    *,
    background: Background | None = None,
    top_labels: int | Literal["all"] | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> Report:
    """Segment images in batches and write their files; an image that fails is left out.

    Args:
        segmenter: Model.
        outputs: Images, and the files to write.
        labels: See `Segmenter.__call__`; without any, only groups are written. Or those of each of
            `outputs.images`.
        background: Thresholds and words of the background; None: every pixel has a label.
            Thresholds of labels that an image does not have are left out for it.
        top_labels: Number of labels that may be used in a window, or `all`; None: as the protocol
            is set.
        on_progress: Called after each image with the number of images done and of all.

    Raises:
        InputError: A label is wrong, or a file cannot be written; files that are complete stay.
    """
    labelings = _labelings(segmenter, outputs.images, labels, background)
    report = Report(num_done=len(outputs.images) - len(outputs.remaining))
    images = ((image, partial(imaging.read, image.path)) for image in outputs.remaining)
    try:
        for image, grouped, result, error in segment_each(
            segmenter, images, labelings.get, top_labels=top_labels
        ):
            if grouped is None:
                report.failed[image.path] = error
            else:
                outputs.write(image, grouped, result)
                report.last = result
                report.num_done += 1
            if on_progress is not None:
                on_progress(report.num_done + len(report.failed), len(outputs.images))
    finally:  # after an error or an interrupt, too
        outputs.finish()
    return report


def _labelings(
    segmenter: Segmenter,
    images: Sequence[ImageFile],
    labels: Sequence[str] | Labels | Mapping[ImageFile, Sequence[str]],
    background: Background | None,
) -> dict[ImageFile, Labeling]:
    """Parsed labels of every image; none without labels."""
    if isinstance(labels, Mapping):
        found = {}
        for image in images:
            own = background
            if background is not None:
                own = background.among(segmenter.parse(labels[image]).names)
            found[image] = Labeling(segmenter.parse(labels[image], own), own)
        return found
    if not labels:
        return {}
    return dict.fromkeys(images, Labeling(segmenter.parse(labels, background), background))


def _plan(
    images: Sequence[ImageFile], folder: Path, formats: Sequence[str]
) -> dict[ImageFile, dict[Format, Path]]:
    """Path of every file; images whose files would have the same path keep their suffix in it.

    Raises:
        InputError: Two images would have a file of the same path nevertheless.
    """
    stems = Counter([image.name.with_suffix("") for image in images])
    whole = {image for image in images if stems[image.name.with_suffix("")] > 1}
    while True:
        plan = {image: _paths(image, folder, formats, whole=image in whole) for image in images}
        colliding = _colliding(plan)
        if not colliding:
            return plan
        if colliding <= whole:
            first, second = sorted(image.path for image in colliding)[:2]
            raise InputError(
                f"files of {first} and {second} would have the same path; rename one of them, or "
                "segment them into two folders"
            )
        whole |= colliding


def _paths(
    image: ImageFile, folder: Path, formats: Sequence[str], *, whole: bool
) -> dict[Format, Path]:
    """Path of each kind of file; `whole`: with the suffix of the image."""
    base = folder / (image.name if whole else image.name.with_suffix(""))
    return {
        kind: base.with_name(base.name + suffix)
        for kind, suffix in SUFFIXES.items()
        if kind in formats
    }


def _colliding(plan: dict[ImageFile, dict[Format, Path]]) -> set[ImageFile]:
    """Images with a path that another has too, or that is a folder of another's.

    Case is ignored on Windows.
    """
    owners: dict[str, set[ImageFile]] = {}
    for image, paths in plan.items():
        for path in paths.values():
            owners.setdefault(normcase(path), set()).add(image)
    colliding = set[ImageFile]()
    for image, paths in plan.items():
        for path in paths.values():
            for place in (path, *path.parents):
                others = owners.get(normcase(place), {image})
                if others != {image}:
                    colliding |= others | {image}
    return colliding
