from dataclasses import replace

import numpy as np
import pytest
import torch

from groupvit import InputError
from groupvit.model.config import ImageEncoderConfig
from groupvit.model.inference import InferenceConfig
from groupvit.segmentation.preparation import normalize, resize, working_size
from groupvit.segmentation.protocol import GROUPVIT, OURS

RELEASED = ImageEncoderConfig()


@pytest.mark.parametrize(
    ("size", "expected"),
    [((375, 500), (448, 597)), ((500, 375), (597, 448)), ((100, 1000), (205, 2048))],
)
def test_the_published_size_keeps_proportions(size, expected):
    assert working_size(*size, GROUPVIT, RELEASED) == expected


@pytest.mark.parametrize("size", [(375, 500), (1, 1), (1, 5000), (3000, 4000), (449, 447)])
def test_our_size_is_a_multiple_of_the_patch(size):
    height, width = working_size(*size, OURS, RELEASED)
    assert height % 16 == width % 16 == 0
    assert 16 <= min(height, width) <= 448
    assert max(height, width) <= 2048


def test_our_size_follows_the_size_of_the_training_images():
    small = replace(RELEASED, image_size=80, patch_size=8)
    assert working_size(300, 300, OURS, small) == (160, 160)


def test_a_model_may_have_a_size_of_its_own():
    small = replace(RELEASED, image_size=80, patch_size=8)
    own = InferenceConfig(short_side=112)
    assert working_size(300, 300, OURS.for_model(own), small) == (112, 112)
    assert working_size(300, 300, replace(OURS, short_side=80).for_model(own), small) == (80, 80)
    assert working_size(375, 500, GROUPVIT.for_model(own), small) == (448, 597)


def test_the_published_protocol_refuses_what_has_no_whole_patch():
    with pytest.raises(InputError, match="5000 x 1 pixels is too thin"):
        working_size(1, 5000, GROUPVIT, RELEASED)


def test_a_image_of_the_right_size_is_not_touched():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(resize(image, (20, 30), antialias=True).permute(1, 2, 0), image)


def test_antialiasing_averages_a_fine_pattern():
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    shrunk = resize(stripes, (8, 8), antialias=True).float()
    assert (shrunk - 127.5).abs().max() < 12


def test_normalized_colors_have_the_statistics_of_imagenet():
    pixels = torch.tensor([[[[124]], [[116]], [[104]]]], dtype=torch.uint8)
    assert normalize(pixels).abs().max() < 0.01
    assert torch.allclose(
        normalize(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)).flatten(),
        torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]),
        atol=1e-4,
    )


def opencv(image, size):
    """Bilinear resizing in 11 bits a side, pixel by pixel, after OpenCV's description."""

    def axis(position, length, source, inside):
        at = np.float32((position + 0.5) * (source / length) - 0.5)
        if inside:  # across, positions stay inside; down, the outermost row is mixed with itself
            at = np.float32(min(max(at, 0), source - 1))
        first = int(np.floor(at))
        share = np.float32(at - first)
        weights = (int(np.rint((np.float32(1) - share) * 2048)), int(np.rint(share * 2048)))
        return [min(max(one, 0), source - 1) for one in (first, first + 1)], weights

    result = np.zeros((*size, 3), dtype=np.uint8)
    for y, x, channel in np.ndindex(result.shape):
        rows, down = axis(y, size[0], image.shape[0], inside=False)
        columns, across = axis(x, size[1], image.shape[1], inside=True)
        mixed = [
            sum(int(image[row, c, channel]) * w for c, w in zip(columns, across, strict=True)) >> 4
            for row in rows
        ]
        total = sum((value * weight) >> 16 for value, weight in zip(mixed, down, strict=True))
        result[y, x, channel] = (total + 2) >> 2
    return result


@pytest.mark.parametrize("size", [(12, 17), (40, 31), (1, 64), (10, 14)])
def test_images_are_resized_in_whole_numbers_of_11_bits(size):
    image = np.random.default_rng(0).integers(0, 256, (20, 28, 3), dtype=np.uint8)
    assert np.array_equal(
        resize(image, size, antialias=False).permute(1, 2, 0), opencv(image, size)
    )


SIZES = [(284, 178), (492, 166), (140, 270), (314, 227), (448, 597), (174, 125), (60, 61), (1, 900)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["noise", "smooth"])
def test_images_are_resized_as_by_opencv_itself(size, kind):
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(0).integers(0, 256, (349, 251, 3), dtype=np.uint8)
    if kind == "smooth":
        image = cv2.resize(image[:40, :30], image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    ours = resize(image, size, antialias=False).permute(1, 2, 0).numpy()
    theirs = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    assert (ours == theirs).mean() == 1
