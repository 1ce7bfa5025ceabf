"""Images in every dress that a person may give them, and the sentences for those we refuse."""

import io
import struct
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import ExifTags, Image

from groupvit.errors import InputError
from groupvit.image_files import find
from groupvit.imaging import PagesWarning, decode, read

RED = (255, 0, 0)


def image(height=20, width=30):
    """Give smooth colors, which a JPEG keeps nearly as they are."""
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x, 6 * y, 3 * x + 3 * y], axis=-1).astype(np.uint8)


def png_claiming(width, height):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + data


def test_an_array_comes_back_as_a_writable_copy():
    array = image()
    result = read(array)
    assert np.array_equal(result, array)
    result[:] = 0
    assert array.any()


def test_a_mirrored_view_comes_back_contiguous():
    assert read(image()[:, ::-1]).flags.c_contiguous


@pytest.mark.parametrize("suffix", ["png", "webp", "PNG"])
def test_a_lossless_file_gives_its_pixels_back(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(image()).save(path, lossless=True)
    assert np.array_equal(read(path), image())
    assert np.array_equal(read(str(path)), image())


def test_the_content_counts_and_not_the_suffix(tmp_path):
    Image.fromarray(image()).save(tmp_path / "a.jpg", format="PNG")
    assert np.array_equal(read(tmp_path / "a.jpg"), image())


def test_a_jpeg_comes_back_nearly_as_it_was(tmp_path):
    Image.fromarray(image()).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    assert np.abs(read(tmp_path / "a.jpg").astype(int) - image()).max() < 12


def test_a_camera_file_with_a_second_image_gives_the_first(tmp_path):
    first, second = Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), "blue")
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
    assert np.abs(read(tmp_path / "a.jpg").astype(int) - RED).max() < 5


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_an_animation_gives_its_first_frame(tmp_path, suffix):
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), "blue")
    path = tmp_path / f"a.{suffix}"
    first.save(path, save_all=True, append_images=[second], lossless=True)
    assert (read(path) == RED).all()


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
        (9, lambda a: a),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_every_orientation_becomes_upright(tmp_path, suffix, orientation, undo):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(image()).save(path, exif=exif, lossless=True)
    assert np.array_equal(read(path), undo(image()))


def test_a_jpeg_and_an_opened_image_are_turned_upright_too(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(image(20, 30)).save(tmp_path / "a.jpg", exif=exif)
    assert read(tmp_path / "a.jpg").shape == (30, 20, 3)
    with Image.open(tmp_path / "a.jpg") as opened:
        assert np.array_equal(read(opened), read(tmp_path / "a.jpg"))


def test_damaged_exif_says_nothing_about_the_image(tmp_path):
    Image.fromarray(image()).save(tmp_path / "a.png", exif=b"Exif\0\0nonsense")
    assert np.array_equal(read(tmp_path / "a.png"), image())


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGBA", "RGBX", "RGBa", "La", "HSV"])
def test_white_stays_white_in_every_mode(mode):
    white = Image.new("RGB", (6, 4), "white")
    through = {"PA": "P", "RGBa": "RGBA", "La": "LA"}.get(mode, mode)
    assert (read(white.convert(through).convert(mode)) == 255).all()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_a_grey_survives_every_mode(mode):
    gray = Image.new("RGB", (6, 4), (120, 120, 120))
    assert np.abs(read(gray.convert(mode)).astype(int) - 120).max() <= 1


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_grey_and_palette_files_are_read_as_colors(tmp_path, mode):
    converted = Image.fromarray(image()).convert(mode)
    converted.save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png"), np.asarray(converted.convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_transparent_parts_become_white_and_half_transparent_ones_pale(tmp_path, suffix):
    image = Image.new("RGBA", (9, 1), (255, 0, 0, 0))
    image.paste((255, 0, 0, 255), (3, 0, 6, 1))
    image.paste((255, 0, 0, 128), (6, 0, 9, 1))
    path = tmp_path / f"a.{suffix}"
    image.save(path, lossless=True)
    assert read(path)[0, 1::3].tolist() == [[255] * 3, [255, 0, 0], [255, 127, 127]]


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_a_transparent_entry_of_a_palette_becomes_white(tmp_path, transparency):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=transparency)
    assert read(tmp_path / "a.png")[0].tolist() == [[255, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize(("mode", "value"), [("L", 7), ("RGB", (7, 7, 7)), ("1", 0), ("I;16", 7)])
def test_a_transparent_color_of_a_file_becomes_white(tmp_path, mode, value):
    Image.new(mode, (3, 2), value).save(tmp_path / "a.png", transparency=value)
    assert (read(tmp_path / "a.png") == 255).all()


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    values = np.array([[0, 257, 25700, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    expected = [0, 1, 100, 128, 255]
    assert read(tmp_path / "a.png")[0, :, 1].tolist() == expected
    assert read(Image.fromarray(values.astype(np.int32)))[0, :, 1].tolist() == expected
    assert read(Image.fromarray(values).convert("I"))[0, :, 1].tolist() == expected


@pytest.mark.parametrize("color", [RED, (10, 200, 90), (0, 0, 0), (255, 255, 255)])
def test_a_cmyk_jpeg_keeps_its_colors(tmp_path, color):
    Image.new("RGB", (16, 16), color).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert b"Adobe" in (tmp_path / "a.jpg").read_bytes()
    assert np.abs(read(tmp_path / "a.jpg").astype(int) - color).max() < 5


def test_a_ycck_jpeg_keeps_its_colors(tmp_path):
    # Adobe stores inverted inks: red ink amounts (0, 255, 255), as luma and chroma, inverted.
    Image.new("CMYK", (16, 16), (76, 84, 254, 0)).save(tmp_path / "a.jpg", quality=95)
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    data[data.index(b"Adobe") + 11] = 2
    (tmp_path / "a.jpg").write_bytes(data)
    assert np.abs(read(tmp_path / "a.jpg").astype(int) - RED).max() < 8


def test_a_grey_array_gets_three_equal_channels():
    result = read(image()[..., 0])
    assert result.shape == (20, 30, 3)
    assert (result == image()[..., :1]).all()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((3, 4, 5), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((4, 4), bool),
    ],
)
def test_another_array_is_refused_by_its_type_and_shape(array):
    with pytest.raises(InputError) as error:
        read(array)
    assert str(error.value) == (
        f"array is {array.dtype} with shape {array.shape}; give uint8 values 0 to 255 "
        "of shape (height, width, 3) or (height, width)"
    )


@pytest.mark.parametrize("source", [np.zeros((0, 4, 3), np.uint8), Image.new("RGB", (4, 0))])
def test_a_image_without_pixels_is_refused(source):
    with pytest.raises(InputError, match="no pixels"):
        read(source)


def test_an_image_of_real_numbers_is_refused():
    with pytest.raises(InputError, match="mode F"):
        read(Image.new("F", (4, 4)))


@pytest.mark.parametrize(("width", "height"), [(60000, 60000), (12000, 12000)])
def test_a_file_that_claims_too_many_pixels_is_refused_undecoded(tmp_path, width, height):
    (tmp_path / "bomb.png").write_bytes(png_claiming(width, height))
    with pytest.raises(InputError, match=rf"bomb.png has {width * height:,} .* 128,000,000"):
        read(tmp_path / "bomb.png")


def test_a_large_file_below_the_cap_passes_without_a_warning(tmp_path):
    (tmp_path / "large.png").write_bytes(png_claiming(10000, 10000))
    with pytest.raises(InputError, match="is damaged"):
        read(tmp_path / "large.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "gif"])
def test_a_truncated_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.effect_noise((200, 200), 90).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match=rf"a.{suffix} is damaged \(.+\); get a whole copy"):
        read(path)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"dear diary", "is not a JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF image"),
        (b"\xff\xd8\xff", "is not a JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF image"),
        (b"", "is an empty file"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, data, sentence):
    (tmp_path / "notes.jpg").write_bytes(data)
    with pytest.raises(InputError, match=f"notes.jpg {sentence}"):
        read(tmp_path / "notes.jpg")


@pytest.mark.parametrize("kind", ["PPM", "TGA", "JPEG2000", "ICO"])
def test_other_formats_stay_shut(tmp_path, kind):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png", format=kind)
    with pytest.raises(InputError, match="is not a JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF image"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "GIF", "AVIF"])
def test_strangers_may_send_only_some_formats(kind):
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, kind)
    with pytest.raises(InputError, match="a is not a JPEG, PNG or WebP image"):
        decode(file.getvalue(), name="a")


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "GIF", "PNG"])
def test_files_and_their_bytes_give_the_same_pixels(tmp_path, kind):
    Image.fromarray(image()).quantize(200).convert("RGB").save(tmp_path / "a", format=kind)
    pixels = read(tmp_path / "a")
    assert np.abs(pixels.astype(int) - image()).max() < 60
    assert np.array_equal(read((tmp_path / "a").read_bytes()), pixels)


def test_an_avif_file_is_read(tmp_path):
    Image.fromarray(image()).save(tmp_path / "a.avif", quality=95)
    assert np.abs(read(tmp_path / "a.avif").astype(int) - image()).max() < 20


def pages(path, *colors):
    first, *others = (Image.new("RGB", (8, 8), color) for color in colors)
    first.save(path, save_all=True, append_images=others)


def test_pages_of_a_tiff_are_read_by_their_number(tmp_path):
    path = tmp_path / "scan.tif"
    pages(path, RED, "blue", "lime")
    assert (read(f"{path}#3") == (0, 255, 0)).all()
    assert (read(f"{path}#1") == RED).all()
    with pytest.warns(PagesWarning, match=r"several pages.*name others as .*scan.tif#2"):
        assert (read(path) == RED).all()
    with pytest.raises(InputError, match=r"scan.tif#4: the file has no page 4"):
        read(f"{path}#4")
    with pytest.raises(InputError, match=r"no file .*other.tif#2"):
        read(tmp_path / "other.tif#2")


def test_a_file_whose_name_ends_like_a_page_is_a_file(tmp_path):
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "a.png")
    Image.new("RGB", (8, 8), RED).save(tmp_path / "a.png#2", "PNG")
    assert (read(tmp_path / "a.png#2") == RED).all()


def test_the_first_frame_of_a_gif_is_read(tmp_path):
    pages(tmp_path / "a.gif", RED, "blue")
    assert (read(tmp_path / "a.gif") == RED).all()


def test_sixteen_bit_tiff_is_scaled(tmp_path):
    values = np.array([[0, 257, 25700, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 1, 100, 255]


HEIC = b"\0\0\0\x18ftypheic" + bytes(12)


def test_heic_names_what_reads_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "IMG_1.HEIC").write_bytes(HEIC)
    with pytest.raises(
        InputError, match=r"IMG_1.HEIC is a HEIC image; run 'pip install pillow-hei"
    ):
        read(tmp_path / "IMG_1.HEIC")


def test_heic_is_read_where_its_plugin_is_installed(tmp_path, monkeypatch):
    """A stand-in for the plugin opens every HEIC file as one red image."""

    def register():
        def opened(_file, _name):
            return Image.new("RGB", (8, 8), RED)

        Image.register_open("HEIF", opened, lambda head: head[8:12] == b"heic")

    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    (tmp_path / "a.heic").write_bytes(HEIC)
    assert (read(tmp_path / "a.heic") == RED).all()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("missing.jpg", "no file missing.jpg; check the path"),
        ("https://a.org/b.jpg", "is a web address; download it"),
        (".", "is a folder; name an image in it"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path, monkeypatch, given, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence):
        read(given)


@pytest.mark.parametrize("from_file", [False, True])
def test_a_closed_image_is_named_as_such(tmp_path, from_file):
    closed = Image.fromarray(image())
    if from_file:
        closed.save(tmp_path / "a.png")
        closed = Image.open(tmp_path / "a.png")
    closed.close()
    with pytest.raises(InputError, match="the image is closed; open it again, or give its path"):
        read(closed)


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    def forbid(*_, **__):
        raise PermissionError

    monkeypatch.setattr(Path, "open", forbid)
    with pytest.raises(InputError, match=r"no permission to read .*a.jpg"):
        read(tmp_path / "a.jpg")


@pytest.fixture
def folder(tmp_path):
    for name in ("b/2.JPG", "b/1.png", "a.webp", "c.jpeg", ".x.png", ".h/y.png", "b/notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    return tmp_path / "in"


def names(found):
    return [image.name.as_posix() for image in found]


def test_a_folder_stands_for_all_images_below_it_in_order(folder):
    found = find([folder])
    assert names(found) == ["a.webp", "b/1.png", "b/2.JPG", "c.jpeg"]
    assert all(image.path == folder / image.name for image in found)


def test_a_pattern_stands_for_the_images_that_match(folder):
    assert names(find([f"{folder}/**/*"])) == ["a.webp", "b/1.png", "b/2.JPG", "c.jpeg"]
    assert names(find([f"{folder}/*/*.[pj]*"])) == ["b/1.png"]
    assert names(find([f"{folder}/?.*"])) == ["a.webp", "c.jpeg"]


def test_a_pattern_is_found_from_the_working_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert names(find(["*.webp", "b/*.png"])) == ["a.webp", "1.png"]


def test_a_file_named_outright_is_taken_with_any_suffix(folder):
    assert names(find([folder / "b/notes.txt", folder / ".x.png"])) == ["notes.txt", ".x.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path):
    (tmp_path / "a[1].png").touch()
    assert names(find([tmp_path / "a[1].png"])) == ["a[1].png"]


def test_a_image_given_twice_is_listed_once(folder):
    (folder / "link.png").symlink_to(folder / "b/1.png")
    found = find([folder / "b/1.png", folder / "b/../b/1.png", folder, f"{folder}/b/*.png"])
    assert names(found) == ["1.png", "a.webp", "b/2.JPG", "c.jpeg"]


def test_two_images_with_one_name_for_their_outputs_are_refused(folder):
    (folder / "1.png").touch()
    with pytest.raises(InputError, match=r"would both give 1.png; give the folder"):
        find([folder / "1.png", folder / "b/1.png"])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "no images given"),
        (["missing"], "no file missing; check the path"),
        (["empty"], "no images in empty"),
        (["*.jpg"], r"no images match \*.jpg"),
    ],
)
def test_what_stands_for_no_images_is_refused(tmp_path, monkeypatch, given, sentence):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence):
        find(given)
