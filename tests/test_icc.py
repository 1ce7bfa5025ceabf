"""Colors of images with profiles, and profiles that mean nothing."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from groupvit.data.decoding import opened
from groupvit.icc import changes_colors, to_rgb
from groupvit.imaging import decode, read
from tests.profiles import profile

GREEN = (60, 200, 90)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def expected(color):
    """Adobe RGB values in sRGB, by the formulas of both standards; for colors inside sRGB."""
    linear = (np.array(color) / 255) ** 2.19921875
    adobe = np.array(
        [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
    )
    srgb = np.array(
        [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
    )
    mixed = np.clip(np.linalg.solve(srgb, adobe @ linear), 0, 1)
    encoded = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "avif", "jpg"])
@pytest.mark.parametrize("color", [(120, 130, 90), (150, 100, 120), (20, 30, 40)])
def test_adobe_rgb_becomes_srgb_in_every_format(tmp_path, suffix, color):
    lossless = {"lossless": True} if suffix == "webp" else {"quality": 100}
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (16, 16), color).save(path, icc_profile=profile(), **lossless)
    assert np.abs(read(path) - expected(color)).max() <= (4 if suffix in ("jpg", "avif") else 1)


def test_colors_outside_srgb_are_clipped_and_differ_from_what_they_were(tmp_path):
    Image.new("RGB", (4, 4), GREEN).save(tmp_path / "a.png", icc_profile=profile())
    assert read(tmp_path / "a.png")[0, 0, 0] == 0


def test_values_of_srgb_stay_exactly_as_they_are(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png", icc_profile=SRGB)
    assert np.array_equal(read(tmp_path / "a.png"), values)


@pytest.mark.parametrize(
    "damaged", [b"", b"no profile", profile()[:200], profile(b"CMYK"), profile(b"GRAY")]
)
def test_a_profile_that_does_not_fit_is_ignored(damaged):
    image = Image.new("RGB", (4, 4), GREEN)
    image.info["icc_profile"] = damaged
    assert to_rgb(image).getpixel((0, 0)) == GREEN
    if damaged != profile(b"GRAY"):
        assert not changes_colors(image)


def test_a_gray_profile_applies_to_gray_and_to_16_bits(tmp_path):
    dark = profile(b"GRAY", gamma=1.0)
    for image in (Image.new("L", (4, 4), 64), Image.new("I;16", (4, 4), 64 * 257)):
        image.save(tmp_path / "a.png", icc_profile=dark)
        assert (read(tmp_path / "a.png") == 137).all()  # 64 / 255 of the light, in sRGB


def test_alpha_is_kept_where_colors_are_converted(tmp_path):
    image = Image.new("RGBA", (4, 4), (120, 130, 90, 255))
    image.paste((0, 0, 0, 0), (0, 0, 2, 4))
    image.save(tmp_path / "a.png", icc_profile=profile())
    result = read(tmp_path / "a.png")
    assert (result[:, :2] == 255).all()
    assert np.abs(result[:, 2:] - expected((120, 130, 90))).max() <= 1


def test_training_sees_the_same_colors():
    file = io.BytesIO()
    Image.new("RGB", (16, 16), GREEN).save(file, "PNG", icc_profile=profile())
    with opened(file.getvalue()) as image:
        assert changes_colors(image)
    assert decode(file.getvalue(), name="a")[0, 0, 0] == 0


def test_a_profile_too_large_for_pillow_is_left_out(tmp_path):
    large = profile() + b"\0" * (2 << 20)
    Image.new("RGB", (4, 4), GREEN).save(tmp_path / "a.png", icc_profile=large)
    assert (read(tmp_path / "a.png") == GREEN).all()
