"""Label Studio backend that makes brush masks of the labels in a project.

`init_app` of label-studio-ml makes a server of `GroupViTBackend`; the labeling interface of the
project needs an `Image` and `BrushLabels`. GROUPVIT_MODEL is the name of the model.
"""

import os
from functools import cache
from typing import Any

import numpy as np
from label_studio_ml.model import LabelStudioMLBase
from label_studio_sdk.converter.brush import mask2rle

from groupvit import Segmenter
from groupvit.segmentation.result import Segmentation
from groupvit.text.prompts import quoted


@cache
def segmenter() -> Segmenter:
    """Model, loaded once."""
    return Segmenter.load(os.environ.get("GROUPVIT_MODEL", "photos"))


class GroupViTBackend(LabelStudioMLBase):
    """Segments the image of a task by the project's brush labels."""

    def predict(self, tasks: list[dict[str, Any]], *_: Any, **__: Any) -> list[dict[str, Any]]:
        """Predictions, one for each task, with a brush mask for each label in the image."""
        tag, control = next(
            (tag, control)
            for tag, control in self.parsed_label_config.items()
            if control["type"] == "BrushLabels"
        )
        source = control["inputs"][0]["value"].removeprefix("$")
        predictions = []
        labels = list(map(quoted, control["labels"]))  # a comma or bar is part of a name there
        for task in tasks:
            result = segmenter()(self.get_local_path(task["data"][source]), labels)
            masks = _masks(result, tag, control["to_name"][0])
            predictions.append({"result": masks, "model_version": "groupvit"})
        return predictions


def _masks(result: Segmentation, tag: str, to: str) -> list[dict[str, Any]]:
    height, width = result.label_map.shape
    return [
        {
            "from_name": tag,
            "to_name": to,
            "type": "brushlabels",
            "original_width": width,
            "original_height": height,
            "value": {
                "format": "rle",
                "rle": mask2rle((result.label_map == index).astype(np.uint8) * 255),
                "brushlabels": [result.labels[index]],
            },
        }
        for index in np.unique(result.label_map).tolist()
    ]
