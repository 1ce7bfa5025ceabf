"""A segmentation: which pixels belong to which word, and what that rests on."""

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16
from PIL import Image
from torch import Tensor

from groupvit import formats, visualization
from groupvit.errors import InputError
from groupvit.palette import colors
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.score_map import ScoreMap
from groupvit.text.prompts import BACKGROUND


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Segmentation:
    """Which pixels of an image belong to which label."""

    labels: tuple[str, ...]
    """Names of the labels; with a background, it comes first."""
    label_map: UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
    """The index into `labels` of every pixel; 16 bits wide beyond 256 labels."""
    groups: GroupedImage
    """The image and the groups found in it, whatever was asked."""
    score_map: ScoreMap
    """The scores by pieces of the image; see `scores`."""
    group_scores: tuple[Float[Tensor, "group label"], ...]
    """For each window, how well the groups of the last stage fit each label, in [0, 1]."""

    def __repr__(self) -> str:
        height, width = self.label_map.shape
        count = self.groups.num_groups(self.groups.num_stages - 1)
        return f"Segmentation({height}x{width}, {len(self.labels)} labels, {count} groups)"

    def __str__(self) -> str:
        found = sorted(self.shares().items(), key=lambda item: -item[1])
        lines = [f"  {share:6.1%}  {label}" for label, share in found if share > 0]
        return "\n".join([repr(self), *lines])

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the overlay."""
        file = io.BytesIO()
        self.to_overlay().save(file, "PNG")
        return file.getvalue()

    @property
    def has_background(self) -> bool:
        """Whether index 0 is the background."""
        return self.labels[0] == BACKGROUND

    @property
    def scores(self) -> Float32[np.ndarray, "label height width"]:
        """The score in [0, 1] of every label at every pixel; computed when asked for."""
        return self.score_map.dense().cpu().numpy()

    def shares(self) -> dict[str, float]:
        """The part of the image that each label covers, in [0, 1]."""
        counts = np.bincount(self.label_map.ravel(), minlength=len(self.labels))
        return dict(zip(self.labels, (counts / self.label_map.size).tolist(), strict=True))

    def group_map(self, stage: int = -1) -> UInt16[np.ndarray, "height width"]:
        """The group of every pixel at a stage, counted from 0, or from -1 for the last."""
        return self.groups.group_map(stage % self.groups.num_stages)

    def group_labels(self, stage: int = -1) -> tuple[str, ...]:
        """The label that each group of `group_map` took.

        A group of an earlier stage takes the label of the last stage's group that takes most of
        it.
        """
        taken = []
        for window, scores in zip(self.groups.windows, self.group_scores, strict=True):
            best = scores.argmax(dim=1)
            for assignment in reversed(window.assignments[stage % self.groups.num_stages + 1 :]):
                best = best[assignment.argmax(dim=0)]
            taken += [self.labels[index] for index in best.tolist()]
        return tuple(taken)

    def to_index_image(self) -> Image.Image:
        """The label map as an image whose pixel values are label indices, with our palette."""
        return formats.index_png(self.label_map, self.colors())

    def to_overlay(self, *, opacity: float = 0.55) -> Image.Image:
        """The image under the colors of its labels, with names and a legend."""
        return visualization.overlay(
            self.groups.image, self.label_map, self.labels, self.colors(), opacity=opacity
        )

    def to_groups_image(self) -> Image.Image:
        """The image beside its groups of every stage and the labels that the last ones took."""
        small = self._shrunk(visualization.LARGEST)
        groups, names = small.group_map(), self.group_labels()
        used = np.unique(groups)
        named = visualization.overlay(
            small.groups.image,
            np.searchsorted(used, groups).astype(np.uint16),
            [f"{group}: {names[group]}" for group in used],
            colors(len(used), background=False),
        )
        *panels, (title, _) = small.groups.panels()
        panels += [(f"{title}, with words", named), ("labels", small.to_overlay())]
        return visualization.side_by_side(panels, columns=2)

    def _shrunk(self, longest: int) -> "Segmentation":
        """The same result on a smaller image, each pixel that of its center."""
        groups = self.groups.shrunk(longest)
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.int64)
            for new, old in zip(groups.size, self.groups.size, strict=True)
        )
        return replace(self, groups=groups, label_map=self.label_map[rows][:, columns])

    def to_coco(self, file_name: str = "image") -> dict[str, Any]:
        """A COCO data set of this one image, its masks as run lengths."""
        dataset = formats.CocoDataset(self.labels)
        dataset.add(file_name, self.label_map)
        return dataset.to_values()

    def to_geojson(self) -> dict[str, Any]:
        """One multi-polygon for each label, in pixels from the upper left corner."""
        return formats.geojson(self.label_map, self.labels)

    def colors(self) -> UInt8[np.ndarray, "label 3"]:
        """The color of each label, RGB."""
        return colors(len(self.labels), background=self.has_background)

    def save(self, path: str | Path) -> None:
        """Write a file whose suffix says what: the images come from `to_overlay` and others.

        `.png`: label indices with our palette. `.json`: COCO with run lengths. `.geojson`:
        polygons. `.npz`: `scores` (float16, "label height width"), `label_map`,
        `group_map` and `labels`.

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
                f"{path} ends in {path.suffix!r}; known are .png, .json, .geojson and .npz"
            )

    def _save_npz(self, path: Path) -> None:
        np.savez_compressed(
            path,
            scores=self.scores.astype(np.float16),
            label_map=self.label_map,
            group_map=self.group_map(),
            labels=np.array(self.labels),
        )
