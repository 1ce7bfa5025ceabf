import random
from contextlib import suppress

import numpy as np
import pytest
from PIL import ExifTags, Image

from groupvit.data import decoding
from groupvit.data.config import DataConfig
from groupvit.data.decoding import DamagedError, decode, draw_box
from tests.data.pairs import encoded, photo

WHOLE = {
    "crop_scale_min": 1.0,
    "crop_scale_max": 1.0,
    "crop_ratio_min": 1.0,
    "crop_ratio_max": 1.0,
}


def decoded(data, *, image_size=16, seed=0, **settings):
    config = DataConfig(**settings)
    found = decode(data, config, random.Random(seed), image_size=image_size)
    return found.pixels.astype(int)


def boxes(width, height, number=500, **settings):
    generator = random.Random(0)
    config = DataConfig(**settings)
    return [draw_box(width, height, config, generator) for _ in range(number)]


def test_crops_lie_in_the_image_and_keep_area_and_ratio():
    for box in boxes(300, 200):
        width, height = box.right - box.left, box.bottom - box.top
        assert 0 <= box.left < box.right <= 300
        assert 0 <= box.top < box.bottom <= 200
        assert 0.08 - 0.01 <= width * height / 60_000 <= 1
        assert 0.75 - 0.02 <= width / height <= 4 / 3 + 0.02


def test_crops_are_of_every_size():
    areas = np.array([(b.right - b.left) * (b.bottom - b.top) for b in boxes(300, 300)]) / 90_000
    assert areas.min() < 0.1
    assert 0.4 < np.median(areas) < 0.6
    assert areas.max() > 0.95


@pytest.mark.parametrize(
    ("size", "box"),
    [((900, 30), (430, 0, 470, 30)), ((30, 900), (0, 430, 30, 470)), ((1, 1), (0, 0, 1, 1))],
)
def test_a_strip_that_no_box_fits_gives_its_middle(size, box):
    assert boxes(*size, number=5, crop_scale_min=0.9) == [box] * 5


def test_a_square_image_can_stay_whole():
    assert boxes(200, 200, number=50, **WHOLE) == [(0, 0, 200, 200)] * 50
    pixels = photo(height=16, width=16)
    assert (decoded(encoded(pixels, "PNG"), **WHOLE) == pixels).all()


def test_a_crop_is_what_pillow_cuts_and_resizes():
    pixels = photo(height=60, width=80)
    box = draw_box(80, 60, DataConfig(), random.Random(5))
    expected = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BILINEAR, box=box)
    assert (decoded(encoded(pixels, "PNG"), seed=5) == np.asarray(expected)).all()


@pytest.mark.parametrize("side", [256, 250, 203, 129])
def test_a_image_decoded_in_small_shows_the_same_part(side):
    smooth = Image.fromarray(photo()).resize((side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(smooth)
    for seed in range(10):
        small = decoded(encoded(pixels, quality=100, subsampling=0), image_size=12, seed=seed)
        exact = decoded(encoded(pixels, "PNG"), image_size=12, seed=seed)
        assert np.abs(small - exact).mean() < 1.5


@pytest.mark.parametrize(
    ("crop", "decoded_size"),
    [
        ((0, 0, 256, 256), (32, 32)),
        ((0, 0, 128, 128), (64, 64)),
        ((9, 9, 136, 136), (128, 128)),
        ((0, 0, 63, 256), (256, 256)),
        ((0, 0, 65, 256), (128, 128)),
    ],
)
def test_no_more_is_decoded_than_the_crop_needs(monkeypatch, crop, decoded_size):
    sizes = []
    resize = Image.Image.resize

    def note(self, *arguments, **options):
        sizes.append(self.size)
        return resize(self, *arguments, **options)

    monkeypatch.setattr(Image.Image, "resize", note)
    monkeypatch.setattr(decoding, "draw_box", lambda *_: decoding.Box(*crop))
    decoded(encoded(photo(height=256, width=256)), image_size=32)
    assert sizes == [decoded_size]


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16", "CMYK"])
def test_every_kind_of_image_becomes_rgb(tmp_path, mode):
    kind = {"CMYK": "JPEG", "I;16": "PNG"}.get(mode, "PNG")
    image = Image.fromarray(photo()).convert(mode if mode != "I;16" else "I").convert(mode)
    image.save(tmp_path / "a", kind)
    assert decoded((tmp_path / "a").read_bytes()).shape == (16, 16, 3)


def test_transparent_parts_become_white():
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert (decoded(encoded(np.asarray(clear), "PNG")) == 255).all()


def test_images_are_upright_as_exif_says():
    pixels = np.zeros((20, 20, 3), dtype=np.uint8)
    pixels[:10] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    turned = decoded(encoded(pixels, exif=exif), **WHOLE)
    assert turned[:7].max() < 20
    assert turned[-7:].min() > 235


def test_a_damaged_orientation_says_nothing():
    pixels = photo(height=16, width=16)
    data = encoded(pixels, exif=b"Exif\0\0nonsense")
    assert np.abs(decoded(data, **WHOLE) - pixels).mean() < 30


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no image",
        encoded(photo(), "GIF"),
        encoded(photo(), "BMP"),
        encoded(photo())[:300],
        encoded(photo(), "PNG")[:-40],
        encoded(photo(), "WEBP")[:60],
    ],
    ids=["empty", "text", "gif", "bmp", "cut jpeg", "cut png", "cut webp"],
)
def test_damage_is_reported(data):
    with pytest.raises(DamagedError):
        decoded(data)


def test_too_many_pixels_are_damage(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 24 * 32 - 1)
    with pytest.raises(DamagedError, match="32 x 24 pixels are too many"):
        decoded(encoded(photo()))


def test_any_damage_is_reported_or_gives_an_image():
    generator = random.Random(0)
    for kind in ("JPEG", "PNG", "WEBP"):
        whole = encoded(photo(), kind)
        for _ in range(150):
            data = bytearray(whole)
            for _ in range(generator.randint(1, 6)):
                data[generator.randrange(len(data))] = generator.randrange(256)
            with suppress(DamagedError):
                assert decoded(bytes(data)).shape == (16, 16, 3)
