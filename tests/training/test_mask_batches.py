import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from groupvit.data.config import AugmentationConfig, DataConfig
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.text.tokenizer import Tokenizer
from groupvit.training.label_set import OTHERS, check_held_out, label_set
from groupvit.training.mask_batches import MaskBatches, random_crop

TOKENIZER = Tokenizer(600)
CONFIG = DataConfig(
    batch_size=4,
    templates="simple",
    crop_scale_min=0.5,
    augmentation=AugmentationConfig(rand_augment_ops=0, erasing=0.0),
)
CLASSES = ["background", "car|taxi", "dog", "tree"]


@pytest.fixture
def folder(tmp_path):
    """Five images, the values of whose masks are in their red; the last class is in two."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    generator = np.random.default_rng(0)
    for index in range(5):
        mask = generator.integers(0, 4 if index < 2 else 3, (3, 4)).astype(np.uint8)
        mask[0, 0] = 255
        mask = mask.repeat(8, axis=0).repeat(8, axis=1)
        image = np.stack([mask, np.full_like(mask, 10 * index), 0 * mask], axis=-1)
        Image.fromarray(image).save(tmp_path / f"images/{index}.png")
        Image.fromarray(mask).save(tmp_path / f"masks/{index}.png")
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    return read_folder(tmp_path)


def batches(folder, config=CONFIG, words=(), **changes):
    labels = label_set(folder, config, words)
    return MaskBatches(labels, config, TOKENIZER, seed=1, image_size=16, **changes)


def prompts(words):
    return TOKENIZER([f"a photo of a {word}." for word in words])


def test_a_batch_has_the_words_of_its_labels_and_the_classes_of_its_pixels(folder):
    batch = batches(folder)[0]
    assert batch.images.shape == (4, 3, 16, 16)
    width = batch.tokens.shape[2]
    for tokens in batch.tokens:
        assert torch.equal(tokens, prompts(["car", "taxi", "dog", "tree"])[:, :width])
    assert batch.masks.owners.tolist() == [[0, 0, 1, 2]] * 4
    assert batch.masks.num_labels == 3
    # Where a pixel of the image is not mixed with others, its red is the value of the mask.
    red, targets = batch.images[:, 0].long(), batch.masks.targets.long()
    table = torch.full((256,), -1)
    table[[0, 1, 2, 3, 255]] = torch.tensor([255, 0, 1, 2, 255])
    same = table[red] == targets
    assert same.float().mean() > 0.6
    assert set(targets.unique().tolist()) <= {0, 1, 2, 255}


def test_image_and_mask_turn_alike():
    values = np.arange(48, dtype=np.uint8).repeat(40, axis=0).reshape(48, 40)
    values = values + np.arange(40, dtype=np.uint8) * 3  # no two neighbors are equal
    sample = Sample("ramp", np.stack([values] * 3, axis=-1), values)
    flipped = 0
    for seed in range(40):
        whole = replace(CONFIG, crop_scale_min=0.2)
        image, mask = random_crop(sample, whole, random.Random(seed), 16)
        assert np.abs(image[..., 0].astype(int) - mask).max() <= 6
        flipped += mask[0, 0] > mask[0, -1]
    assert 10 <= flipped <= 30
    still = replace(CONFIG, augmentation=replace(CONFIG.augmentation, flip=False))
    for seed in range(10):
        _, mask = random_crop(sample, still, random.Random(seed), 16)
        assert mask[0, 0] < mask[0, -1]


def test_two_ranks_get_what_one_gets(folder):
    joint = batches(folder)
    config = replace(CONFIG, batch_size=2)
    ranks = [batches(folder, config, rank=rank, world_size=2) for rank in range(2)]
    for number in range(4):
        one, parts = joint[number], [rank[number] for rank in ranks]
        assert torch.equal(one.images, torch.cat([part.images for part in parts]))
        assert torch.equal(one.masks.targets, torch.cat([part.masks.targets for part in parts]))
        assert torch.equal(one.tokens, torch.cat([part.tokens for part in parts]))


def test_every_epoch_has_every_image_once(folder):
    found = batches(folder, replace(CONFIG, batch_size=5))
    for number in range(3):
        assert sorted(found[number].images[:, 1].amax(dim=(1, 2)).tolist()) == [0, 10, 20, 30, 40]


def test_words_of_the_background_are_one_label_without_those_of_classes(folder):
    config = replace(CONFIG, held_out=("trees",))
    found = batches(folder, config, words=("grass", "dogs", "tree", "sky"))
    assert found.labels.words == (("car", "taxi"), ("dog",), ("grass", "sky"))
    assert found.labels.numbers[[0, 1, 2, 3, 255]].tolist() == [2, 0, 1, 255, 255]


def test_pixels_without_a_class_are_others_on_demand(folder):
    config = replace(CONFIG, mask_labels="others", held_out=("dog",))
    found = batches(folder, config, words=("grass",))
    assert found.labels.words == (("car", "taxi"), ("tree",), (OTHERS,))
    assert found.labels.numbers[[0, 1, 2, 3, 255]].tolist() == [2, 0, 2, 1, 2]
    assert set(found[0].masks.targets.unique().tolist()) <= {0, 1, 2}


def test_pairs_are_a_class_of_the_image_and_others(folder):
    config = replace(CONFIG, mask_labels="pairs", batch_size=5)
    found = batches(folder, config)
    drawn = set()
    for number in range(4):
        batch = found[number]
        assert batch.masks.num_labels == 2
        assert batch.masks.targets.max() == 1
        for tokens, owners in zip(batch.tokens, batch.masks.owners.tolist(), strict=True):
            used = [row.tolist() for row, owner in zip(tokens, owners, strict=True) if owner < 2]
            width = tokens.shape[1]
            (which,) = [
                index
                for index, words in enumerate((["car", "taxi"], ["dog"], ["tree"]))
                if prompts([*words, OTHERS])[:, :width].tolist() == used
            ]
            drawn.add(which)
            assert owners[: len(used)] == [0] * (len(used) - 1) + [1]
    assert drawn == {0, 1, 2}


@pytest.mark.parametrize("mask_labels", ["classes", "others", "pairs"])
def test_held_out_names_never_enter_the_training(folder, mask_labels):
    config = replace(CONFIG, mask_labels=mask_labels, held_out=("Taxis", "tree"), batch_size=5)
    found = batches(folder, config, words=("a taxi", "cars", "sky"))
    named = {word for words in found.labels.words for word in words}
    assert named.isdisjoint({"car", "taxi", "cars", "tree"})
    held = prompts(["car", "taxi", "tree"])
    shown = {
        tuple(row)
        for batch in (found[n] for n in range(3))
        for x in batch.tokens
        for row in x.tolist()
    }
    assert shown.isdisjoint({tuple(row[: len(next(iter(shown)))]) for row in held.tolist()})
    others = 255 if mask_labels == "classes" else 1
    assert found.labels.numbers[[1, 3, 255]].tolist() == [others] * 3


def test_images_that_show_held_out_classes_are_left_out_on_demand(folder):
    config = replace(CONFIG, held_out=("tree",), held_out_images="leave")
    assert label_set(folder, config, ()).images == (2, 3, 4)
    assert len(batches(folder, config)) == 3
    with pytest.raises(InputError, match=r"every mask of .* shows a held-out class"):
        label_set(folder, replace(config, held_out=("car",)), ())
    with pytest.raises(InputError, match="leaves no class"):
        label_set(folder, replace(config, held_out=("car", "dog", "tree")), ())


def test_a_held_out_name_that_is_no_class_is_refused(folder):
    config = replace(CONFIG, held_out=("dog", "cat"))
    with pytest.raises(InputError, match="'cat', which is no class in"):
        check_held_out([label_set(folder, config, ())], config, ())
    known = replace(CONFIG, held_out=("taxi", "Dogs"))
    check_held_out([label_set(folder, known, ())], known, ())
    check_held_out([label_set(folder, config, ())], config, ("cats",))


@pytest.mark.usefixtures("folder")
def test_a_class_named_others_is_refused(tmp_path):
    (tmp_path / "classes.txt").write_text("background\nothers\ndog\ntree")
    with pytest.raises(InputError, match="has a class 'others'"):
        label_set(read_folder(tmp_path), replace(CONFIG, mask_labels="others"), ())
