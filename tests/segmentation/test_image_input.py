"""Tensors as images."""

import numpy as np
import pytest
import torch

from groupvit.errors import InputError
from groupvit.segmentation.image_input import read

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)


@pytest.mark.parametrize("scale", [None, 255.0])
def test_a_tensor_has_the_pixels_of_its_array(scale):
    tensor = torch.from_numpy(PIXELS).movedim(-1, 0)
    result = read(tensor if scale is None else tensor / scale)
    assert np.array_equal(result, PIXELS)
    result[:] = 0
    assert tensor.any()


@pytest.mark.parametrize(
    ("tensor", "sentence"),
    [
        (torch.zeros(4, 6, 3), r"tensor is torch.float32 with shape \(4, 6, 3\)"),
        (torch.zeros(2, 3, 4, 6), "several images as a list"),
        (torch.zeros(3, 4, 6, dtype=torch.int64), "tensor is torch.int64"),
        (torch.full((3, 4, 6), 1.5), "outside"),
        (torch.full((3, 4, 6), torch.nan), "outside"),
        (torch.zeros(3, 0, 6, dtype=torch.uint8), "no pixels"),
    ],
)
def test_other_tensors_are_refused(tensor, sentence):
    with pytest.raises(InputError, match=sentence):
        read(tensor)
