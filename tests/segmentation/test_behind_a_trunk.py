"""Segmentation by a model whose parts are found inside each image."""

import numpy as np
import pytest

from groupvit.errors import InputError
from groupvit.model.inference import InferenceConfig
from groupvit.segmentation.segmenter import Segmenter
from groupvit.weights import checkpoint, hugging_face
from groupvit.weights.checkpoint import Origin
from tests.lively import street
from tests.trunks import trunk_model


@pytest.fixture(scope="module")
def model():
    return trunk_model()


@pytest.mark.parametrize("naming", ["segments", "parts"])
@pytest.mark.parametrize("protocol", ["ours", "tcl"])
def test_an_image_is_segmented(model, naming, protocol):
    segmenter = Segmenter(model, inference=InferenceConfig(naming=naming), protocol=protocol)
    image = street(90, 130)
    result = segmenter(image, ["dog", "cat", "sky"], background="auto")
    assert result.label_map.shape == (90, 130)
    assert len(np.unique(result.groups.group_map(0))) > 1
    again = segmenter(image, ["dog", "cat", "sky"], background="auto")
    assert np.array_equal(result.label_map, again.label_map)


def test_in_bfloat16_the_groups_are_nearly_the_same(model):
    image = street(90, 130)
    exact, mixed = (
        Segmenter(model, dtype=dtype).group([image])[0].group_map(0)
        for dtype in ("float32", "bfloat16")
    )
    assert (exact == mixed).mean() > 0.5


def test_naming_by_levels_is_refused(model):
    with pytest.raises(InputError, match="take naming 'parts' or 'segments'"):
        Segmenter(model, inference=InferenceConfig(naming="levels"))


def test_other_layouts_are_refused(model, tmp_path):
    with pytest.raises(InputError, match="has no pretrained trunk"):
        hugging_face.save(tmp_path / "theirs", model, overwrite=False)


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_model_is_read_back(model, tmp_path, half):
    checkpoint.save(tmp_path / "model", model, Origin(source="a test"), half=half)
    found, before = checkpoint.load(tmp_path / "model").model, model.state_dict()
    for name, value in found.state_dict().items():
        expected = before[name]
        if half and value.ndim > 1:
            expected = expected.half().float()
        assert value.equal(expected), name
    lower = found.image_encoder.trunk.lower
    assert not any(parameter.requires_grad for parameter in lower.parameters())


def test_values_beyond_half_precision_are_refused(tmp_path):
    model = trunk_model()
    model.patch_projector[0].weight.data[0, 0] = 1e5
    with pytest.raises(InputError, match=r"half precision, as values of patch_projector\.0"):
        checkpoint.save(tmp_path / "model", model, Origin(source="a test"), half=True)
    assert not (tmp_path / "model").exists()
