import numpy as np
import pytest
import torch
from torch.nn import functional as F

from groupvit import Background
from groupvit.background.learned_layer import (
    Examples,
    _with_truth,
    learn,
    learn_from_captions,
    learn_from_masks,
)
from groupvit.data import index
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluate import evaluate
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from tests.data.pairs import encoded, photo, write_tar

THINGS = Scenes(num=5, size=32, only_things=True)


@pytest.fixture(scope="module")
def segmenter(lively_model):
    return Segmenter(lively_model)


@pytest.fixture
def examples():
    """Parts whose own direction says how near a word must be."""
    generator = torch.Generator().manual_seed(0)
    parts = F.normalize(torch.randn(2000, 16, generator=generator), dim=-1)
    cosines = torch.rand(2000, generator=generator) * 2 - 1
    return Examples(parts, cosines, cosines > 0.5 * parts[:, 3] - 0.1)


def test_the_layer_finds_what_words_must_pass(lively_model, examples):
    found = learn(lively_model, examples)
    assert found.accuracy > 0.98
    assert found.present == pytest.approx(examples.present.float().mean().item())
    layer = found.model.background_layer.requires_grad_(requires_grad=False)
    assert layer.weight[0, 3].item() == pytest.approx(0.5, abs=0.05)
    assert layer.weight[0, :3].abs().max() < 0.05
    assert layer.bias.item() == pytest.approx(-0.1, abs=0.03)


def test_nothing_else_of_the_model_changes(lively_model, examples):
    before = {name: value.clone() for name, value in lively_model.state_dict().items()}
    found = learn(lively_model, examples).model
    after = found.state_dict()
    assert after.keys() - before.keys() == {"background_layer.weight", "background_layer.bias"}
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert lively_model.background_layer is None
    again = learn(found, examples).model
    torch.testing.assert_close(again.background_layer.weight, found.background_layer.weight)


@pytest.mark.parametrize("there", [True, False])
def test_examples_of_one_kind_teach_nothing(lively_model, examples, there):
    alike = examples._replace(present=torch.full((2000,), there))
    with pytest.raises(InputError, match="so that nothing can be learned"):
        learn(lively_model, alike)


class Half:
    """Scenes in whose upper half everything is what a model calls it, and in the lower nothing."""

    key, name, labels, has_background = "", "half", THINGS.labels, True

    def __init__(self, segmenter):
        self.segmenter = segmenter

    def __len__(self):
        return 5

    def __getitem__(self, i):
        mask = self.segmenter(THINGS[i].image, self.labels).label_map + 1
        mask[16:] = 0
        mask[:, :4] = 255
        return Sample(str(i), THINGS[i].image, mask)


def test_masks_teach_what_is_there(segmenter):
    told, half = [], Half(segmenter)
    found = learn_from_masks(segmenter, half, on_progress=lambda *done: told.append(done))
    assert told[-1] == (5, 5)
    grids = [one.windows[0].grid for one in segmenter.group([THINGS[0].image])]
    assert found.num_examples < 5 * grids[0][0] * grids[0][1]  # 255 tells nothing
    assert 0.3 < found.present < 0.7
    assert found.accuracy > 0.5
    learned = Segmenter(found.model)
    assert learned.certainty == "margin"
    everywhere = evaluate(segmenter, half, background=Background(threshold=0.0))
    assert evaluate(learned, half).scores.pixel_accuracy > everywhere.scores.pixel_accuracy


def test_names_that_are_never_right_teach_nothing(segmenter):
    with pytest.raises(InputError, match="no part of the images shows the word"):
        learn_from_masks(segmenter, THINGS)


def test_the_truth_of_a_patch_is_that_in_its_middle(lively_model):
    sample = THINGS[0]
    segmenter = Segmenter(lively_model, protocol=OURS)
    [grouped] = segmenter.group([sample.image])
    parts, truth = _with_truth(grouped, sample)
    rows, columns = grouped.windows[0].grid
    assert len(parts) == len(truth) == rows * columns
    height, width = sample.mask.shape
    for place in (0, 5, rows * columns - 1):
        row, column = divmod(place, columns)
        middle = int((row + 0.5) * height / rows), int((column + 0.5) * width / columns)
        assert truth[place] == sample.mask[middle]


def test_windows_tell_of_their_own_part_of_the_image(lively_model):
    sample = THINGS[1]
    segmenter = Segmenter(lively_model, protocol="groupvit")
    wide = np.concatenate([sample.image, sample.image], axis=1)
    mask = np.concatenate([np.zeros_like(sample.mask), np.full_like(sample.mask, 7)], axis=1)
    [grouped] = segmenter.group([wide])
    _, truth = _with_truth(grouped, sample._replace(image=wide, mask=mask))
    first, last = (len(grouped.windows[place].patch_embeddings()) for place in (0, -1))
    assert set(truth[:first].tolist()) == {0}
    assert set(truth[-last:].tolist()) == {7}


@pytest.fixture
def shards(tmp_path):
    """Images of two kinds, with captions that name them."""
    captions = ("a dog with a boat", "a cat on a boat", "a dog and a cat")
    members = []
    for i in range(18):
        members += [(f"{i:03d}.jpg", encoded(photo(i))), (f"{i:03d}.txt", captions[i % 3])]
    members[0] = ("000.jpg", b"no image")
    write_tar(tmp_path / "pairs.tar", members)
    return index.prepare([tmp_path / "pairs.tar"], None)


def test_captions_teach_without_any_mask(segmenter, shards):
    told = []
    found = learn_from_captions(segmenter, shards, on_progress=lambda *done: told.append(done))
    assert told[-1] == (18, 18)
    assert 0 < found.present < 1
    again = learn_from_captions(segmenter, shards)
    assert torch.equal(again.model.background_layer.weight, found.model.background_layer.weight)
    fewer = learn_from_captions(segmenter, shards, num_pairs=15)
    assert fewer.num_examples < found.num_examples


def test_captions_without_common_nouns_are_refused(segmenter, shards):
    with pytest.raises(InputError, match="no noun stands in 5 of 4 captions"):
        learn_from_captions(segmenter, shards, num_pairs=4)


def test_images_that_are_all_damaged_are_refused(segmenter, tmp_path):
    members = []
    for i in range(6):
        members += [(f"{i:03d}.jpg", b"no image"), (f"{i:03d}.txt", "a dog with a boat")]
    write_tar(tmp_path / "pairs.tar", members)
    with pytest.raises(InputError, match="no image can be used"):
        learn_from_captions(segmenter, index.prepare([tmp_path / "pairs.tar"], None))
