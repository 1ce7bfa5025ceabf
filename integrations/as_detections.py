"""Segmentations as `supervision.Detections`, for annotators, trackers and zones.

pip install supervision, then:

    result = segmenter("photos/dog.jpg", ["dog", "grass"])
    image = supervision.MaskAnnotator().annotate(result.groups.image.copy(), detections(result))
"""

import numpy as np
import supervision

from groupvit.segmentation.result import Segmentation


def detections(result: Segmentation) -> supervision.Detections:
    """Detections of the labels in an image, one for each; the background is not included.

    `class_id` is the index into `result.labels`, `data["class_name"]` the label, and `confidence`
    the mean score of the label over its pixels, in [0, 1].
    """
    found = [
        index
        for index in np.unique(result.label_map).tolist()
        if not (result.has_background and index == 0)
    ]
    if not found:
        return supervision.Detections.empty()
    masks = np.stack([result.label_map == index for index in found])
    scores = result.scores
    # The scores do not include the background.
    offset = len(result.labels) - len(scores)
    confidences = [scores[i - offset][mask].mean() for i, mask in zip(found, masks, strict=True)]
    return supervision.Detections(
        xyxy=supervision.mask_to_xyxy(masks).astype(np.float32),
        mask=masks,
        confidence=np.array(confidences, np.float32),
        class_id=np.array(found),
        data={"class_name": np.array([result.labels[index] for index in found])},
    )
