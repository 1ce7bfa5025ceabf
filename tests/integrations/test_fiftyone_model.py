import numpy as np
import pytest

from groupvit import Background, Segmenter

fiftyone = pytest.importorskip("fiftyone")
from eta.core import image  # noqa: E402

from integrations.fiftyone_model import GroupViTModel  # noqa: E402

pytestmark = pytest.mark.slow
IMAGE = "examples/harbour.png"
LABELS = ["boat", "sea", "sky"]


@pytest.fixture(params=[None, Background(threshold=0.0)])
def background(request):
    return request.param


@pytest.fixture
def model(background):
    return GroupViTModel(LABELS, model="storybook", background=background)


@pytest.fixture
def wanted(background):
    """The segmenter's labels; in FiftyOne's masks 0 belongs to none."""
    label_map = Segmenter.load("storybook")(IMAGE, LABELS, background=background).label_map
    return label_map if background else label_map + 1


def test_a_sample_gets_the_mask_of_the_segmenter(model, wanted):
    assert model.mask_targets == {1: "boat", 2: "sea", 3: "sky"}
    sample = fiftyone.Sample(filepath=IMAGE)
    sample["groupvit"] = model.predict(image.read(sample.filepath))
    np.testing.assert_array_equal(sample.groupvit.mask, wanted)


def test_a_data_set_gets_them(model, wanted):
    try:
        dataset = fiftyone.Dataset()
    except fiftyone.core.config.FiftyOneConfigError:
        pytest.skip("there is no MongoDB here, in which FiftyOne keeps data sets")
    try:
        dataset.add_samples([fiftyone.Sample(filepath=IMAGE)])
        dataset.apply_model(model, label_field="groupvit", batch_size=2)
        np.testing.assert_array_equal(dataset.first().groupvit.mask, wanted)
    finally:
        dataset.delete()
