"""The fast table of scores equals the slow, dense pipeline as it was published."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from groupvit import Background, Segmenter
from groupvit.segmentation.preparation import normalise, resize
from groupvit.segmentation.protocol import GROUPVIT
from groupvit.segmentation.vocabulary import Vocabulary
from tests.segmentation import reference

LABELS = ["dog", "cat", "grass", "sky", "car", "tree", "boat"]


def ties(scores, tolerance=1e-6):
    """Pixels whose two best classes are closer than float32 can tell."""
    best = scores.topk(2, dim=0).values
    return (best[0] - best[1] < tolerance).numpy()


@pytest.mark.parametrize("size", [(48, 64), (70, 41), (33, 100), (40, 40), (96, 51)])
@pytest.mark.parametrize("threshold", [None, 0.2, 0.95])
def test_every_pixel_equals_the_dense_pipeline(lively_model, street, size, threshold):
    picture = street(*size)
    protocol = replace(GROUPVIT, short_side=44, long_side=90, window=32, stride=16)
    background = None if threshold is None else Background(threshold=threshold)
    result = Segmenter(lively_model, protocol=protocol)(picture, LABELS, background=background)

    factor = min(90 / max(size), 44 / min(size))
    scaled = tuple(int(side * factor + 0.5) for side in size)
    image = normalise(resize(picture, scaled, antialias=False))[None]
    with torch.inference_mode():
        texts = Vocabulary(lively_model).embed(LABELS, GROUPVIT.templates)
        expected = reference.slide(
            lively_model, image, texts, threshold=threshold, window=32, stride=16, size=size
        )
    different = result.label_map != expected.argmax(0).numpy()
    assert not (different & ~ties(expected)).any()
    assert len(np.unique(result.label_map)) > 1


@pytest.mark.parametrize("size", [(48, 64), (70, 41)])
def test_the_whole_picture_at_once_equals_the_dense_pipeline(lively_model, street, size):
    picture = street(*size)
    protocol = replace(GROUPVIT, short_side=64, long_side=130, window=None)
    background = Background(threshold=0.6)
    result = Segmenter(lively_model, protocol=protocol)(picture, LABELS, background=background)
    factor = min(130 / max(size), 64 / min(size))
    scaled = tuple(int(side * factor + 0.5) for side in size)
    image = normalise(resize(picture, scaled, antialias=False))[None]
    with torch.inference_mode():
        texts = Vocabulary(lively_model).embed(LABELS, GROUPVIT.templates)
        crop = reference.dense_logits(lively_model, image, texts, threshold=0.6)
    expected = F.interpolate(crop[None], size=size, mode="bilinear", align_corners=False)[0]
    different = result.label_map != expected.argmax(0).numpy()
    assert not (different & ~ties(expected)).any()


def test_the_resized_picture_is_that_of_opencv_within_one_level(street):
    picture = street(30, 50)
    resized = resize(picture, (45, 75), antialias=False).float()
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    exact = F.interpolate(pixels, (45, 75), mode="bilinear", align_corners=False)[0]
    assert (resized - exact).abs().max() <= 1
