r"""Auto-annotation function for CVAT.

pip install cvat-cli, then:

    cvat-cli task auto-annotate 137 --function-file integrations/cvat_function.py \
        -p labels=str:'dog,grass' -p model=str:nvidia/groupvit-gcc-yfcc --allow-unmatched-labels
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
        """Outer outlines: polygons in CVAT have no holes."""
        for feature in result.to_geojson()["features"]:
            name = feature["properties"]["label"]
            if name in self._names:
                for outline, *_ in feature["geometry"]["coordinates"]:
                    points = np.array(outline[:-1], float).ravel().tolist()
                    yield annotation.polygon(self._names.index(name), points)


def create(
    labels: str, model: str = "nvidia/groupvit-gcc-yfcc", background: float | None = None
) -> Function:
    """Create the function; CVAT calls this with the arguments of `-p`.

    Args:
        labels: Labels, separated by commas; synonyms share a label: `car|taxi`.
        model: A bundled name, a folder, a file of weights, or a hub id.
        background: Background threshold; None: every pixel has a label.
    """
    return Function(Segmenter.load(model), [labels], background)
