"""Whole images that Pillow refuses, and broken ones that it takes hours or a traceback for."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from groupvit import imaging
from groupvit.data import decoding
from groupvit.data.config import DataConfig
from groupvit.data.decoding import DamagedError, decode
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.files import Pair, read_mask

LARGE = 3_000_000


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, kind, data=b""):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


def smooth(height=40, width=60):
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x % 256, 6 * y % 256, 3 * x + 3 * y], axis=-1).astype(np.uint8)


def encoded(pixels, kind, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def metadata(name):
    texts = PngImagePlugin.PngInfo()
    if name == "icc":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        return {"icc_profile": profile + bytes(LARGE)}
    if name == "ztxt":
        texts.add_text("notes", "x" * LARGE, zip=True)
    else:
        texts.add_itxt(name, "x" * LARGE, zip=True)
    return {"pnginfo": texts}


@pytest.mark.parametrize("name", ["icc", "ztxt", "notes", "XML:com.adobe.xmp"])
def test_large_metadata_leave_an_image_whole(tmp_path, name):
    data = encoded(smooth(), "PNG", **metadata(name))
    np.testing.assert_array_equal(imaging.decode(data, name="a"), smooth())
    (tmp_path / "a.png").write_bytes(data)
    np.testing.assert_array_equal(imaging.read(tmp_path / "a.png"), smooth())
    assert decode(data, DataConfig(), random.Random(0), image_size=16).pixels.shape == (16, 16, 3)
    mask = smooth()[..., 0]
    (tmp_path / "mask.png").write_bytes(encoded(mask, "PNG", **metadata(name)))
    read = read_mask(Pair(tmp_path / "a.png", tmp_path / "mask.png"), mask.shape)
    np.testing.assert_array_equal(read, mask)


def test_a_text_that_holds_the_orientation_is_kept():
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", '<rdf tiff:Orientation="6"/>', zip=True)
    texts.add_text("notes", "x" * LARGE, zip=True)
    data = encoded(smooth(), "PNG", pnginfo=texts)
    np.testing.assert_array_equal(imaging.decode(data, name="a"), np.rot90(smooth(), 3))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("lacking", [1, 2, 10, 100])
def test_a_jpeg_without_its_last_bytes_is_read_and_reported(lacking, progressive):
    pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    data = encoded(pixels, "JPEG", progressive=progressive)
    whole = imaging.decode(data, name="a.jpg")
    with pytest.warns(imaging.IncompleteImageWarning, match=r"a\.jpg lacks its last bytes"):
        read = imaging.decode(data[:-lacking], name="a.jpg")
    np.testing.assert_array_equal(read[:456], whole[:456])
    with pytest.raises(InputError, match=r"a\.jpg is damaged"):
        imaging.decode(data[: len(data) // 2], name="a.jpg")
    np.testing.assert_array_equal(decoding.read_whole(data[:-lacking]), read)
    with pytest.raises(DamagedError):
        decoding.read_whole(data[: len(data) // 2])


def test_training_reads_a_jpeg_without_its_last_bytes_as_the_whole_one():
    pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    data = encoded(pixels, "JPEG")
    for seed in range(4):  # some crops are decoded at reduced size
        whole, lacking = (
            decode(part, DataConfig(), random.Random(seed), image_size=16)
            for part in (data, data[:-2])
        )
        np.testing.assert_array_equal(lacking.pixels, whole.pixels)
        assert (whole.is_complete, lacking.is_complete) == (True, False)


def test_images_that_no_program_writes_are_refused_in_a_sentence():
    scan = encoded(smooth(), "JPEG", progressive=True)
    start = scan.rindex(b"\xff\xda")
    rows = chunk(b"IDAT", zlib.compress(bytes(20)))
    odd = {
        "3,001 scans": scan[:start] + scan[start:-2] * 3000 + scan[:2] + b"\xff\xda" + scan[-2:],
        "no palette": png(4, 4, 3, rows),
        "at most 1,000,000": png(128_000_000, 1, 2, rows),
    }
    odd["scans; at most 200"] = odd.pop("3,001 scans")
    for sentence, data in odd.items():
        with pytest.raises(InputError, match=sentence):
            imaging.decode(data, name="a")
        with pytest.raises(DamagedError):
            decode(data, DataConfig(), random.Random(0), image_size=16)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_array_is_turned_as_its_image_is(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth()).save(tmp_path / "a.png", exif=exif)
    assert imaging.file_orientation(tmp_path / "a.png") == orientation
    upright = imaging.upright(smooth()[..., 0], orientation)
    np.testing.assert_array_equal(upright, imaging.read(tmp_path / "a.png")[..., 0])
