"""GroupViT's segmentations as `supervision.Detections`, for its annotators, trackers and zones.

pip install supervision, then:

    result = segmenter("photos/dog.jpg", ["dog", "grass"])
    image = supervision.MaskAnnotator().annotate(result.groups.image.copy(), detections(result))
"""

import numpy as np
import supervision

from groupvit.segmentation.result import Segmentation


def detections(result: Segmentation) -> supervision.Detections:
    """One detection for each label that was found; the background is none.

    `class_id` is the index into `result.labels`, `data["class_name"]` the label, and `confidence`
    the mean score of the label where it was found, in [0, 1].
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
    # Scores are of labels alone; the background, where there is one, is no label of theirs.
    offset = len(result.labels) - len(scores)
    certain = [scores[i - offset][mask].mean() for i, mask in zip(found, masks, strict=True)]
    return supervision.Detections(
        xyxy=supervision.mask_to_xyxy(masks).astype(np.float32),
        mask=masks,
        confidence=np.array(certain, np.float32),
        class_id=np.array(found),
        data={"class_name": np.array([result.labels[index] for index in found])},
    )
