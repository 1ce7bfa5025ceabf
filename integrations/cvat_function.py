r"""Auto-annotation function for CVAT.

pip install cvat-cli, then:

    cvat-cli task auto-annotate 137 --function-file integrations/cvat_function.py \
        -p labels=str:'dog,grass' -p model=str:photos --allow-unmatched-labels
"""

from collections.abc import Iterator

import cvat_sdk.auto_annotation as annotation
import cvat_sdk.models
import numpy as np
import PIL.Image
from cvat_sdk.masks import encode_mask

from groupvit import Background, Segmenter
from groupvit.segmentation.result import Segmentation
from groupvit.text.prompts import parse_labels


class Function:
    """Function that CVAT calls for every frame; see `create`."""

    def __init__(self, segmenter: Segmenter, labels: list[str], threshold: float | None) -> None:
        self._segmenter, self._labels, self._threshold = segmenter, labels, threshold
        self._names = [label.name for label in parse_labels(labels)]

    @property
    def spec(self) -> annotation.DetectionFunctionSpec:
        """Labels of the function; a task needs labels of the same names."""
        names = enumerate(self._names)
        specs = [annotation.label_spec(name, index, type="any") for index, name in names]
        return annotation.DetectionFunctionSpec(labels=specs)

    def detect(
        self, context: annotation.DetectionFunctionContext, image: PIL.Image.Image
    ) -> list[cvat_sdk.models.LabeledShapeRequest]:
        """Masks of the labels in an image, or polygons if the task needs them."""
        background = None if self._threshold is None else Background(threshold=self._threshold)
        result = self._segmenter(image, self._labels, background=background)
        return list(self._polygons(result) if context.conv_mask_to_poly else self._masks(result))

    def _masks(self, result: Segmentation) -> Iterator[cvat_sdk.models.LabeledShapeRequest]:
        for index, name in enumerate(self._names):
            mask = result.label_map == result.labels.index(name)
            if mask.any():
                yield annotation.mask(index, encode_mask(mask))

    def _polygons(self, result: Segmentation) -> Iterator[cvat_sdk.models.LabeledShapeRequest]:
        """Outlines with seams to their holes, the largest first: CVAT draws later ones above."""
        polygons = [
            (self._names.index(name), rings)
            for feature in result.to_geojson()["features"]
            if (name := feature["properties"]["label"]) in self._names
            for rings in feature["geometry"]["coordinates"]
        ]
        for index, rings in sorted(polygons, key=lambda one: -_area(one[1][0])):
            points = np.array(_joined(rings), float).ravel().tolist()
            yield annotation.polygon(index, points)


def _area(ring: list[list[int]]) -> float:
    """Area of a closed outline [pixels]."""
    x, y = np.array(ring).T
    return float(abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2)


def _joined(rings: list[list[list[int]]]) -> list[list[int]]:
    """One outline of an outer ring and its holes, since polygons in CVAT have none.

    Each hole is entered and left along the same seam, which covers no pixels.
    """
    outer, *holes = rings
    points = list(outer)
    for hole in holes:
        points += [*hole, outer[0]]
    return points[:-1]


def create(labels: str, model: str = "photos", background: float | None = None) -> Function:
    """Create the function; CVAT calls this with the arguments of `-p`.

    Args:
        labels: Labels, separated by commas; synonyms share a label: `car|taxi`.
        model: A bundled name, a folder, a file of weights, or a hub id.
        background: Background threshold; None: every pixel has a label.
    """
    return Function(Segmenter.load(model), [labels], background)
