"""Label maps as a COCO data set, with masks as run lengths."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from groupvit.formats.label_maps import LabelMap, category, check
from groupvit.formats.run_lengths import box, run_lengths
from groupvit.version import VERSION


class CocoDataset:
    """COCO data set that grows image by image; of each only the run lengths are kept.

    Ids of images, categories and annotations count from 1. A first label "background" is no
    category.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, file_name: str, label_map: LabelMap) -> None:
        """Add a segmented image.

        Args:
            file_name: Path of the image below the folder of the data set.
            label_map: Index of the label of every pixel.

        Raises:
            InputError: The map holds an index without a label.
        """
        height, width = label_map.shape
        number = len(self._images) + 1
        self._annotations += coco_annotations(
            label_map, self._labels, image_id=number, first_id=len(self._annotations) + 1
        )
        self._images.append(
            {"id": number, "file_name": file_name, "width": width, "height": height}
        )

    def to_values(self) -> dict[str, Any]:
        """The whole data set, ready for `json.dump`."""
        categories = []
        for index, label in enumerate(self._labels):
            if number := category(index, self._labels):
                categories.append({"id": number, "name": label, "supercategory": ""})
        return {
            "info": {"description": "groupvit", "version": VERSION},  # pycocotools needs it
            "images": self._images,
            "categories": categories,
            "annotations": self._annotations,
        }


def coco_annotations(
    label_map: LabelMap, labels: Sequence[str], *, image_id: int, first_id: int = 1
) -> list[dict[str, Any]]:
    """One COCO annotation for each label of the image, in the order of the labels.

    Masks are uncompressed run lengths, column by column, as pycocotools reads them. Boxes are
    [left, top, width, height] in pixels, areas are in pixels. A first label "background" is left
    out.

    Args:
        label_map: Index of the label of every pixel.
        labels: Names of the labels.
        image_id: Id of the image in the data set.
        first_id: Id of the first annotation; the others count on.

    Raises:
        InputError: The map holds an index without a label.
    """
    check(label_map, len(labels))
    annotations: list[dict[str, Any]] = []
    for index in np.unique(label_map).tolist():
        if number := category(index, labels):
            annotation = {
                "id": first_id + len(annotations),
                "image_id": image_id,
                "category_id": number,
                "iscrowd": 0,
            }
            annotations.append(annotation | _mask_fields(label_map == index))
    return annotations


def _mask_fields(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    return {
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask).tolist()},
        "bbox": list(box(mask)),
        "area": int(mask.sum()),
    }
