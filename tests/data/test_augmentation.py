import pytest
import torch

from groupvit.data.augmentation import augment
from groupvit.data.config import AugmentationConfig, DataConfig
from groupvit.data.geometry import Warp
from groupvit.data.operations import OPERATIONS
from groupvit.errors import InputError
from groupvit.normalization import DEVIATION, MEAN

NOTHING = {"flip": False, "rand_augment_ops": 0, "erasing": 0.0}
MEANS = torch.tensor(MEAN)[:, None, None]
DEVIATIONS = torch.tensor(DEVIATION)[:, None, None]


@pytest.fixture
def images():
    return torch.randint(
        0, 256, (400, 3, 12, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def augmented(images, *, seed=0, **settings):
    generator = torch.Generator().manual_seed(seed)
    return augment(images, AugmentationConfig(**NOTHING | settings), generator=generator)


def values(normalized):
    return normalized * DEVIATIONS + MEANS


def changed(normalized, images):
    """Which images are no longer as they were."""
    return ((values(normalized) - images.float()).abs() > 0.01).flatten(1).any(dim=1)


def test_switched_off_it_only_normalizes(images):
    expected = (images.float() - MEANS) / DEVIATIONS
    assert torch.equal(augmented(images), expected)


def test_the_generator_decides_all(images):
    whole = {"flip": True, "rand_augment_ops": 2, "erasing": 0.25}
    assert torch.equal(augmented(images, **whole), augmented(images, **whole))
    assert not torch.equal(augmented(images, **whole), augmented(images, seed=1, **whole))


def test_neither_the_images_nor_other_random_numbers_are_touched(images):
    before, state = images.clone(), torch.get_rng_state()
    augmented(images, flip=True, rand_augment_ops=2, erasing=1.0)
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_half_of_the_images_are_mirrored(images):
    result = values(augmented(images, flip=True)).round().to(torch.uint8)
    mirrored = (result == images.flip(3)).flatten(1).all(dim=1)
    kept = (result == images).flatten(1).all(dim=1)
    assert (mirrored ^ kept).all()
    assert 160 < mirrored.sum() < 240


def test_rand_augment_changes_images_in_whole_numbers(images):
    result = values(augmented(images, rand_augment_ops=2))
    assert (result - result.round()).abs().max() < 0.01
    assert -0.01 < result.min() < result.max() < 255.01


@pytest.mark.parametrize(("ops", "share"), [(1, 0.5), (2, 0.75)])
def test_every_operation_is_left_out_half_of_the_time(images, ops, share):
    share_changed = changed(augmented(images, rand_augment_ops=ops), images).float().mean()
    assert share - 0.12 < share_changed < share + 0.07


def test_every_operation_gets_its_turn(images, monkeypatch):
    rows = {}

    def counted(number):
        def note(images, strengths):
            rows[number] = rows.get(number, 0) + len(images)
            strong.append(strengths)
            return images

        return note

    def warped(images, kinds, strengths):
        assert len(strengths) == len(images)
        for kind in kinds.tolist():
            rows[Warp(kind)] = rows.get(Warp(kind), 0) + 1
        return images

    strong = []
    numbered = tuple(counted(f"color {n}") for n in range(len(OPERATIONS)))
    monkeypatch.setattr("groupvit.data.augmentation.OPERATIONS", numbered)
    monkeypatch.setattr("groupvit.data.augmentation.warp", warped)
    augmented(images.repeat(5, 1, 1, 1), rand_augment_ops=2, rand_augment_magnitude=7.0)
    assert len(rows) == 15
    assert max(rows.values()) < 2 * min(rows.values())
    strengths = torch.cat(strong)
    assert abs(strengths.abs().mean() - 7) < 0.1
    assert 0.4 < strengths.abs().std() < 0.6
    assert abs((strengths < 0).float().mean() - 0.5) < 0.1


def test_erasing_puts_noise_into_rectangles(images):
    result = augmented(images, erasing=1.0)
    erased = ((values(result) - images.float()).abs() > 1e-3).any(dim=1)
    for mask in erased[:100]:
        rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
        inside = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert inside.float().mean() > 0.9
        assert 0.01 < inside.numel() / mask.numel() < 0.42
    noise = result.permute(0, 2, 3, 1)[erased]
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05


def test_a_fraction_of_the_images_is_erased(images):
    assert 70 < changed(augmented(images, erasing=0.25), images).sum() < 130


def test_a_single_tiny_image_passes_through():
    image = torch.full((1, 3, 1, 1), 9, dtype=torch.uint8)
    for seed in range(20):
        whole = augmented(image, seed=seed, flip=True, rand_augment_ops=2, erasing=1.0)
        assert whole.isfinite().all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rand_augment_ops": -1}, "rand_augment_ops is -1; give 0 or more"),
        ({"rand_augment_magnitude": 11.0}, "rand_augment_magnitude is 11.0; give 0 to 10"),
        ({"erasing": 1.5}, "erasing is 1.5; give a number between 0 and 1"),
    ],
)
def test_augmentation_out_of_range_is_refused(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        AugmentationConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"batch_size": 0}, "batch_size is 0; give at least 1"),
        ({"num_prompts": -1}, "num_prompts is -1; give at least 0"),
        ({"num_workers": -1}, "num_workers is -1; give at least 0"),
        ({"crop_scale_min": 0.0}, "crop_scale_min and crop_scale_max are 0.0 and 1.0"),
        ({"crop_scale_max": 1.1}, "should rise within 0 and 1"),
        ({"crop_ratio_min": 2.0}, "crop_ratio_min and crop_ratio_max are 2.0 and"),
    ],
)
def test_data_settings_out_of_range_are_refused(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        DataConfig(**settings)
