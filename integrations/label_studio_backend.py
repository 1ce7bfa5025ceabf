"""Label Studio backend that makes brush masks of the labels in a project.

`init_app` of label-studio-ml makes a server of `GroupViTBackend`; the labeling interface of the
project needs an `Image` and `BrushLabels`. GROUPVIT_MODEL is the name of the model.
"""

import logging
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from label_studio_ml.model import LabelStudioMLBase
from label_studio_sdk.converter.brush import mask2rle

from groupvit import Segmenter
from groupvit.errors import InputError
from groupvit.segmentation.result import Segmentation
from groupvit.text.prompts import BACKGROUND, quoted

VERSION = "groupvit"
"""Name of the model in predictions."""
LOGGER = logging.getLogger(__name__)


@cache
def segmenter() -> Segmenter:
    """Model, loaded once."""
    return Segmenter.load(os.environ.get("GROUPVIT_MODEL", "photos"))


class GroupViTBackend(LabelStudioMLBase):
    """Segments the image of a task by the project's brush labels."""

    def predict(self, tasks: list[dict[str, Any]], *_: Any, **__: Any) -> list[dict[str, Any]]:
        """Predictions, one for each task, with a brush mask for each label in the image.

        A label `Background` gets the pixels that the model takes for background. A task whose image
        cannot be read gets a prediction without masks, and the reason is logged. Scores are mean
        scores of the pixels.

        Raises:
            InputError: The labeling interface has no BrushLabels, or no other label.
        """
        tag, control = self._brush_labels()
        source = control["inputs"][0]["value"].removeprefix("$")
        predictions = []
        for task in tasks:
            try:
                result = _segmented(self.get_local_path(task["data"][source]), control["labels"])
            except (InputError, OSError, KeyError) as error:  # those of requests are OSErrors
                LOGGER.warning("task %s is left out: %s", task.get("id"), error)
                predictions.append({"result": [], "model_version": VERSION})
                continue
            masks = _masks(*result, tag, control["to_name"][0])
            score = float(np.average([mask["score"] for mask in masks]))
            predictions.append({"result": masks, "score": score, "model_version": VERSION})
        return predictions

    def _brush_labels(self) -> tuple[str, dict[str, Any]]:
        """Name and settings of the BrushLabels."""
        for tag, control in self.parsed_label_config.items():
            if control["type"] == "BrushLabels":
                return tag, control
        raise InputError("the labeling interface has no BrushLabels; add them to the project")


def _segmented(path: str, labels: Sequence[str]) -> tuple[Segmentation, list[str]]:
    """Segmentation of an image, and the project's name of each of its labels."""
    backgrounds = [label for label in labels if label.strip().casefold() == BACKGROUND]
    others = [label for label in labels if label not in backgrounds]
    # A comma or bar is part of a name there.
    result = segmenter()(
        path, list(map(quoted, others)), background="auto" if backgrounds else None
    )
    return result, [*backgrounds[:1], *others]


def _masks(result: Segmentation, names: Sequence[str], tag: str, to: str) -> list[dict[str, Any]]:
    height, width = result.label_map.shape
    masks = []
    for index, (name, scores) in enumerate(zip(names, result.score_map.planes(), strict=True)):
        mask = result.label_map == index
        if mask.any():
            value = {
                "format": "rle",
                "rle": mask2rle(mask.astype(np.uint8) * 255),
                "brushlabels": [name],
            }
            masks.append(
                {
                    "id": f"{VERSION}-{index}",
                    "from_name": tag,
                    "to_name": to,
                    "type": "brushlabels",
                    "original_width": width,
                    "original_height": height,
                    "score": float(scores.cpu().numpy()[mask].mean()),
                    "value": value,
                }
            )
    return masks
