"""Result of a segmentation: label map, scores and groups."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8, UInt16
from PIL import Image
from torch import Tensor

from groupvit import visualization
from groupvit.errors import InputError
from groupvit.formats.coco import CocoDataset
from groupvit.formats.index_png import index_png
from groupvit.formats.polygons import geojson
from groupvit.palette import colors
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.score_map import ScoreMap
from groupvit.text.prompts import BACKGROUND


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Segmentation:
    """Label of every pixel of an image."""

    labels: tuple[str, ...]
    """Names of the labels; a background comes first."""
    label_map: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
    """Index into `labels` of every pixel; 16 bits wide beyond 256 labels."""
    groups: GroupedImage
    """The image and its groups, which do not depend on the labels."""
    score_map: ScoreMap
    """Scores by region of the image; see `scores`."""
    group_scores: tuple[Float[Tensor, "group label"], ...]
    """Score in [0, 1] of each label for the groups of the last stage, for each window."""
    expansions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Words that stood for labels which the lexicon expanded, by label."""

    def __repr__(self) -> str:
        height, width = self.label_map.shape
        count = self.groups.num_groups(-1)
        return f"Segmentation({height}x{width}, {len(self.labels)} labels, {count} groups)"

    def __str__(self) -> str:
        lines = [repr(self)]
        for label, share in sorted(self.shares().items(), key=itemgetter(1), reverse=True):
            if share > 0:
                words = self.expansions.get(label)
                lines.append(
                    f"  {share:6.1%}  {label}" + (f" ({', '.join(words)})" if words else "")
                )
        return "\n".join(lines)

    def _repr_png_(self) -> bytes:
        """The overlay, for notebooks."""
        file = io.BytesIO()
        self.to_overlay().save(file, "PNG")
        return file.getvalue()

    @property
    def has_background(self) -> bool:
        """Index 0 is the background."""
        return self.labels[0] == BACKGROUND

    @property
    def scores(self) -> Float32[np.ndarray, "label height width"]:
        """Score in [0, 1] of every label at every pixel; computed on each access."""
        return self.score_map.dense().cpu().numpy()

    @property
    def masks(self) -> dict[str, Bool[np.ndarray, "height width"]]:
        """Pixels of each label; computed on each access."""
        return {label: self.label_map == index for index, label in enumerate(self.labels)}

    def show(self) -> None:
        """Open the overlay in the image viewer of this machine; a notebook shows it by itself."""
        self.to_overlay().show()

    def shares(self) -> dict[str, float]:
        """Fraction of the image that each label covers, in [0, 1]."""
        counts = np.bincount(self.label_map.ravel(), minlength=len(self.labels))
        return dict(zip(self.labels, (counts / self.label_map.size).tolist(), strict=True))

    def group_map(self, stage: int = -1) -> UInt16[np.ndarray, "height width"]:
        """Group at every pixel, of a stage counted from 0; -1 is the last."""
        return self.groups.group_map(stage % self.groups.num_stages)

    def group_labels(self, stage: int = -1) -> tuple[str, ...]:
        """Label of each group of `group_map`.

        A group of an earlier stage has the label of the last stage's group that it is assigned to
        most.
        """
        taken: list[str] = []
        for window, scores in zip(self.groups.windows, self.group_scores, strict=True):
            last = window.last_groups(stage % self.groups.num_stages)
            best = scores.argmax(dim=1)[last]
            taken += [self.labels[index] for index in best.tolist()]
        return tuple(taken)

    def to_index_image(self) -> Image.Image:
        """The label map as an image whose pixel values are label indices, with a palette."""
        return index_png(self.label_map, self.colors())

    def to_overlay(self, *, opacity: float = 0.55) -> Image.Image:
        """The image overlaid with the colors of its labels, their names and a legend."""
        return visualization.overlay(
            self.groups.image, self.label_map, self.labels, self.colors(), opacity=opacity
        )

    def to_groups_image(self) -> Image.Image:
        """The image beside its groups of each stage and the labels of the last ones."""
        small = self._shrunk(visualization.LARGEST)
        groups, names = small.group_map(), self.group_labels()
        used = np.unique(groups)
        named = visualization.overlay(
            small.groups.image,
            np.searchsorted(used, groups).astype(np.uint16),
            [f"{group}: {names[group]}" for group in used],
            colors(len(used), background=False),
        )
        last = small.groups.num_stages
        panels = small.groups.panels(last - 1)
        panels.append((f"stage {last}: {len(used)} groups in use, with words", named))
        panels.append(("labels", small.to_overlay()))
        return visualization.side_by_side(panels, columns=2)

    def _shrunk(self, longest: int) -> "Segmentation":
        """The same result for a reduced image; each pixel has the label at its center."""
        groups = self.groups.shrunk(longest)
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.int64)
            for new, old in zip(groups.size, self.groups.size, strict=True)
        )
        return replace(self, groups=groups, label_map=self.label_map[rows][:, columns])

    def to_coco(self, file_name: str = "image") -> dict[str, Any]:
        """COCO data set of this image, with masks as run lengths."""
        dataset = CocoDataset(self.labels)
        dataset.add(file_name, self.label_map)
        return dataset.to_values()

    def to_geojson(self) -> dict[str, Any]:
        """GeoJSON with a multi-polygon for each label, in pixels from the upper left corner."""
        return geojson(self.label_map, self.labels)

    def colors(self) -> UInt8[np.ndarray, "label 3"]:
        """Color of each label, RGB."""
        return colors(len(self.labels), background=self.has_background)

    def save(self, path: str | Path) -> None:
        """Write a file in the format of its suffix; `to_overlay` and others return images.

        `.png`: label indices with a palette. `.json`: COCO with run lengths. `.geojson`: polygons.
        `.npz`: `scores` (float16, "label height width"), `label_map`, `group_map` and `labels`.

        Raises:
            InputError: The suffix is none of these.
        """
        path = Path(path)
        if path.suffix == ".png":
            self.to_index_image().save(path)
        elif path.suffix == ".json":
            path.write_text(json.dumps(self.to_coco(), ensure_ascii=False), encoding="utf-8")
        elif path.suffix == ".geojson":
            path.write_text(json.dumps(self.to_geojson(), ensure_ascii=False), encoding="utf-8")
        elif path.suffix == ".npz":
            self._save_npz(path)
        else:
            raise InputError(
                f"{path} has the suffix {path.suffix!r}; known are .png, .json, .geojson and .npz"
            )

    def _save_npz(self, path: Path) -> None:
        """Write arrays as `np.savez_compressed` does, but scores one label after the other."""
        shape = len(self.labels), *self.label_map.shape
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        others = {
            "label_map": self.label_map,
            "group_map": self.group_map(),
            "labels": np.array(self.labels),
        }
        with ZipFile(path, "w", ZIP_DEFLATED) as archive:
            with archive.open("scores.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_1_0(file, header)
                for plane in self.score_map.planes():
                    file.write(plane.cpu().numpy().astype("<f2").tobytes())
            for name, array in others.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array)
