"""FiftyOne model: `dataset.apply_model(GroupViTModel(["dog", "grass"]), "groupvit")`.

pip install fiftyone, then:

    model = GroupViTModel(["dog", "grass"], background=Background(threshold=0.4))
    dataset.apply_model(model, label_field="groupvit", batch_size=8)
    dataset.mask_targets["groupvit"] = model.mask_targets
    dataset.save()
"""

from collections.abc import Sequence

import fiftyone
import fiftyone.core.models
import numpy as np

from groupvit import Background, Segmenter
from groupvit.segmentation.result import Segmentation
from groupvit.text.prompts import parse_labels


class GroupViTModel(fiftyone.core.models.Model):
    """Segments the images of a data set by labels.

    In its masks 0 is no label, as in FiftyOne, and labels count from 1.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        model: str = "photos",
        background: Background | None = None,
        **options: object,
    ) -> None:
        """Load a model.

        Args:
            labels: Labels; synonyms share a label: `car|taxi`.
            model: A bundled name, a folder, a file of weights, or a hub id.
            background: Background thresholds and words; None: every pixel has a label.
            options: Other arguments of `Segmenter.load`, such as `device` and `dtype`.
        """
        self._labels, self._background = tuple(labels), background
        self._names = [label.name for label in parse_labels(labels)]
        self._segmenter = Segmenter.load(model, **options)

    media_type = "image"
    ragged_batches = True
    transforms = None
    preprocess = False

    @property
    def mask_targets(self) -> dict[int, str]:
        """Label of every value in the masks except 0."""
        return dict(enumerate(self._names, start=1))

    def predict(self, arg: np.ndarray) -> fiftyone.Segmentation:
        """Segment an image, uint8 "height width 3"."""
        return self.predict_all([arg])[0]

    def predict_all(self, args: Sequence[np.ndarray]) -> list[fiftyone.Segmentation]:
        """Segment several images as a batch."""
        results = self._segmenter(list(args), self._labels, background=self._background)
        return [fiftyone.Segmentation(mask=_mask_from_one(result)) for result in results]


def _mask_from_one(result: Segmentation) -> np.ndarray:
    if result.has_background:
        return result.label_map
    dtype = np.uint8 if len(result.labels) < 256 else np.uint16
    return result.label_map.astype(dtype) + dtype(1)
