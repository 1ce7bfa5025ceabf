"""The fast table of scores equals the slow, dense pipeline as it was published."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from groupvit import Background, Segmenter
from groupvit.segmentation.preparation import normalize, resize
from groupvit.segmentation.protocol import GROUPVIT
from groupvit.segmentation.word_embeddings import WordEmbeddings
from tests.segmentation import reference

LABELS = ["dog", "cat", "grass", "sky", "car", "tree", "boat"]


def ties(scores, tolerance=1e-6):
    """Pixels whose two best classes are closer than processors agree on."""
    best = scores.topk(2, dim=0).values
    return (best[0] - best[1] < tolerance).numpy()


def compare(model, image, protocol, threshold):
    """Segment an image; pixels equal those of the dense pipeline, of ties all but 1 in 500."""
    background = None if threshold is None else Background(threshold=threshold)
    segmenter = Segmenter(model, protocol=protocol, batch_size=1)  # as the dense pipeline
    result = segmenter(image, LABELS, background=background)
    size = image.shape[:2]
    factor = min(protocol.long_side / max(size), protocol.short_side / min(size))
    scaled = tuple(int(side * factor + 0.5) for side in size)
    pixels = normalize(resize(image, scaled, antialias=False))[None]
    window = protocol.window or max(scaled)
    with torch.inference_mode():
        texts = WordEmbeddings(model).embed(LABELS, GROUPVIT.templates)
        expected = reference.slide(
            model, pixels, texts, threshold=threshold, window=window, stride=16, size=size
        )
    different = result.label_map != expected.argmax(0).numpy()
    assert not (different & ~ties(expected)).any()
    assert different.mean() < 0.002
    return result


@pytest.mark.parametrize("size", [(48, 64), (70, 41), (30, 90), (40, 40), (96, 51)])
@pytest.mark.parametrize("threshold", [None, 0.2, 0.95])
def test_every_pixel_equals_the_dense_pipeline(lively_model, street, size, threshold):
    protocol = replace(GROUPVIT, short_side=44, long_side=90, window=32, stride=16)
    result = compare(lively_model, street(*size), protocol, threshold)
    assert len(np.unique(result.label_map)) > 1


@pytest.mark.parametrize("threshold", [None, 0.95])
def test_a_sure_model_ties_where_the_dense_pipeline_ties(lively_model, street, threshold):
    model = copy.deepcopy(lively_model)
    model.log_scale.data.fill_(math.log(100))
    protocol = replace(GROUPVIT, short_side=44, long_side=90, window=32, stride=16)
    compare(model, street(60, 81), protocol, threshold)


@pytest.mark.parametrize("size", [(56, 64), (70, 41)])
def test_the_whole_image_at_once_equals_the_dense_pipeline(lively_model, street, size):
    protocol = replace(GROUPVIT, short_side=64, long_side=130, window=None)
    result = compare(lively_model, street(*size), protocol, threshold=0.6)
    assert len(np.unique(result.label_map)) > 1


def test_the_resized_image_is_that_of_opencv_within_one_level(street):
    image = street(30, 50)
    resized = resize(image, (45, 75), antialias=False).float()
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    exact = F.interpolate(pixels, (45, 75), mode="bilinear", align_corners=False)[0]
    assert (resized - exact).abs().max() <= 1
