"""Every operation against the operation of Pillow that it stands for."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from groupvit.data import operations
from groupvit.data.geometry import FILL, Warp, warp
from groupvit.data.operations import OPERATIONS
from tests.data.pairs import photo

STRENGTHS = (-10.0, -9.3, -4.2, -0.5, 0.0, 0.7, 3.0, 8.8, 9.5, 10.0)
FILL_COLOR = tuple(map(int, FILL))


def noisy(seed=0, height=37, width=52):
    """An image with smooth parts, edges and noise, not of full range."""
    pixels = photo(seed, height, width).astype(float) * 0.7 + 20
    pixels[5:15, 10:30] = (250, 30, 90)
    noise = np.random.default_rng(seed).normal(0, 6, pixels.shape)
    return np.clip(pixels + noise, 11, 252).astype(np.uint8)


def as_batch(*images):
    return torch.stack([torch.from_numpy(p).permute(2, 0, 1) for p in images]).float()


def as_images(images):
    values = images.round()
    assert torch.equal(values, images)
    assert 0 <= values.min() <= values.max() <= 255
    return values.permute(0, 2, 3, 1).int().numpy()


def posterize(image, strength):
    bits = 4 - int(abs(strength) / 10 * 4)
    return ImageOps.posterize(image, bits) if bits else Image.new("RGB", image.size)


def solarize(image, strength):
    return ImageOps.solarize(image, 256 - int(abs(strength) / 10 * 256))


def solarize_add(image, strength):
    added = int(abs(strength) / 10 * 110)
    table = [min(255, value + added) if value < 128 else value for value in range(256)]
    return image.point(table * 3)


def enhance(kind):
    return lambda image, strength: kind(image).enhance(1 + strength / 10 * 0.9)


PILLOW = {
    "auto_contrast": lambda image, _: ImageOps.autocontrast(image),
    "equalize": lambda image, _: ImageOps.equalize(image),
    "invert": lambda image, _: ImageOps.invert(image),
    "posterize": posterize,
    "solarize": solarize,
    "solarize_add": solarize_add,
    "color": enhance(ImageEnhance.Color),
    "contrast": enhance(ImageEnhance.Contrast),
    "brightness": enhance(ImageEnhance.Brightness),
    "sharpness": enhance(ImageEnhance.Sharpness),
}
# Pillow's tables and blends round in another precision.
TOLERANCE = {"auto_contrast": 1, "color": 1, "contrast": 1, "brightness": 1, "sharpness": 1}


@pytest.mark.parametrize("name", PILLOW)
def test_colors_change_as_in_pillow(name):
    function = OPERATIONS[list(PILLOW).index(name)]
    images = [noisy(seed) for seed in range(len(STRENGTHS))]
    changed = as_images(function(as_batch(*images), torch.tensor(STRENGTHS)))
    for image, strength, ours in zip(images, STRENGTHS, changed, strict=True):
        theirs = np.asarray(PILLOW[name](Image.fromarray(image), strength)).astype(int)
        assert np.abs(ours - theirs).max() <= TOLERANCE.get(name, 0)
        assert np.mean(ours != theirs) < 0.02


def transform(matrix):
    def apply(image, strength):
        return image.transform(
            image.size,
            Image.Transform.AFFINE,
            matrix(strength / 10, *image.size),
            resample=Image.Resampling.BILINEAR,
            fillcolor=FILL_COLOR,
        )

    return apply


def rotate(image, strength):
    options = {"resample": Image.Resampling.BILINEAR, "fillcolor": FILL_COLOR}
    return image.rotate(30 * strength / 10, **options)


PILLOW_WARPS = {
    Warp.ROTATE: rotate,
    Warp.SHEAR_X: transform(lambda part, *_: (1, 0.3 * part, 0, 0, 1, 0)),
    Warp.SHEAR_Y: transform(lambda part, *_: (1, 0, 0, 0.3 * part, 1, 0)),
    Warp.TRANSLATE_X: transform(lambda part, w, _: (1, 0, 0.45 * part * w, 0, 1, 0)),
    Warp.TRANSLATE_Y: transform(lambda part, _, h: (1, 0, 0, 0, 1, 0.45 * part * h)),
}


@pytest.mark.parametrize("kind", PILLOW_WARPS)
def test_pixels_move_as_in_pillow(kind):
    images = [noisy(seed) for seed in range(len(STRENGTHS))]
    kinds = torch.full((len(STRENGTHS),), int(kind))
    moved = as_images(warp(as_batch(*images), kinds, torch.tensor(STRENGTHS)))
    for image, strength, ours in zip(images, STRENGTHS, moved, strict=True):
        theirs = np.asarray(PILLOW_WARPS[kind](Image.fromarray(image), strength)).astype(int)
        difference = np.abs(ours - theirs).max(axis=-1)
        assert np.mean(difference > 1) < 0.005  # a pixel on the edge may be in or out
        assert np.mean(ours != theirs) < 0.05


def test_warps_of_a_batch_do_not_mix():
    images = as_batch(*[noisy(seed) for seed in range(5)])
    kinds, strengths = torch.arange(5), torch.tensor([3.0, -8.0, 9.0, -2.0, 5.0])
    together = warp(images, kinds, strengths)
    for row in range(5):
        part = slice(row, row + 1)
        assert torch.equal(warp(images[part], kinds[part], strengths[part]), together[part])


def test_a_rotation_there_and_back_is_close_to_nothing():
    smooth = as_batch(photo(height=40, width=40))
    kinds, strengths = torch.tensor([int(Warp.ROTATE)]), torch.tensor([7.0])
    back = warp(warp(smooth, kinds, strengths), kinds, -strengths)
    assert (back - smooth)[:, :, 12:-12, 12:-12].abs().max() < 12


@pytest.mark.parametrize("value", [0.0, 1.0, 128.0, 255.0])
def test_images_of_one_color_survive_everything(value):
    flat = torch.full((2, 3, 8, 8), value)
    for function in OPERATIONS:
        changed = function(flat, torch.tensor([9.0, -10.0]))
        assert as_images(changed).std(axis=(1, 2)).max() == 0


def test_inverting_twice_changes_nothing():
    image = as_batch(noisy())
    assert torch.equal(operations.invert(operations.invert(image)), image)


def test_equalizing_makes_values_equally_frequent():
    pixels = torch.arange(256.0).square().div(256).floor().repeat(3, 64).reshape(1, 3, 128, 128)
    counts = operations.equalize(pixels).flatten().histc(bins=4, min=0, max=256)
    assert (counts / counts.sum() - 0.25).abs().max() < 0.06


def test_a_image_too_small_to_smooth_stays():
    tiny = torch.full((1, 3, 2, 2), 7.0)
    assert torch.equal(operations.sharpness(tiny, torch.tensor([9.0])), tiny)


def test_the_fill_is_the_mean_of_imagenet():
    assert FILL == (124, 116, 104)
    kinds = torch.tensor([int(Warp.TRANSLATE_X)])
    moved = warp(torch.zeros(1, 3, 10, 100), kinds, torch.tensor([10.0]))
    assert moved[0, :, :, 55:].flatten(1).unique(dim=1).flatten().tolist() == list(FILL)
    assert math.isclose(moved[0, :, :, :55].abs().max(), 0)
