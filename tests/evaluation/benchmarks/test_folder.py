import numpy as np
import pytest
from PIL import Image

from groupvit import imaging
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.benchmarks.mask_survey import checked
from groupvit.storybook.scene import CLASSES, scene
from tests.evaluation.folders import SIZE, with_background, write_folder


def test_a_folder_is_a_benchmark(book):
    folder = read_folder(book)
    assert isinstance(folder, Benchmark)
    assert (len(folder), folder.labels, folder.has_background) == (5, CLASSES, False)
    assert folder.name == str(book)


def test_images_come_in_the_order_of_their_names(book):
    folder = read_folder(str(book))
    for index in range(len(folder)):
        page = scene(index, split="test", size=SIZE)
        np.testing.assert_array_equal(folder[index].image, page.image)
        np.testing.assert_array_equal(folder[index].mask, page.mask)


def test_a_first_line_background_is_no_label(folder):
    found = read_folder(with_background(folder))
    assert found.has_background
    assert found.labels == CLASSES[1:]


def test_a_palette_does_not_change_the_values(folder):
    mask = Image.open(folder / "masks/000.png")
    mask.putpalette([255 - value % 256 for value in range(768)])
    mask.save(folder / "masks/000.png")
    np.testing.assert_array_equal(
        read_folder(folder)[0].mask, scene(0, split="test", size=SIZE).mask
    )


def test_folders_below_keep_their_names(folder):
    for kind in ("images", "masks"):
        (folder / kind / "trip").mkdir()
        (folder / kind / "001.png").rename(folder / kind / "trip/b.png")
    assert [pair.mask.name for pair in read_folder(folder).pairs] == ["000.png", "b.png"]


def test_a_image_may_have_any_format(folder):
    Image.open(folder / "images/001.png").save(folder / "images/001.webp")
    (folder / "images/001.png").unlink()
    assert read_folder(folder)[1].image.shape == (SIZE, SIZE, 3)


def test_blank_lines_at_the_end_are_no_classes(folder):
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n\n  \n")
    assert read_folder(folder).labels == CLASSES


def remove(name):
    return lambda folder: (folder / name).unlink()


def write_classes(text):
    return lambda folder: (folder / "classes.txt").write_text(text)


def write_mask(mode, size=(SIZE, SIZE), color=0):
    return lambda folder: Image.new(mode, size, color).save(folder / "masks/001.png")


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda folder: folder.rename(folder.parent / "gone"), "no folder .*own; give one with"),
        (lambda folder: (folder / "masks").rename(folder / "m"), "no folder masks/ under .*own;"),
        (remove("classes.txt"), "no file .*classes.txt; write one"),
        (write_classes(" \n"), "classes.txt is empty"),
        (write_classes("sky\n\ngrass"), "line 2 is blank"),
        (write_classes("sky\nSky"), "classes.txt: the label 'Sky' is given twice"),
        (
            write_classes("sky\nbackground"),
            "'background' means pixels without a label",
        ),
        (write_classes("background"), "classes.txt: labels is empty"),
        (lambda folder: (folder / "classes.txt").write_bytes(b"\xff\xfe\xff"), "as UTF-8 text"),
        (remove("masks/001.png"), "images/001.png has no mask .*masks/001.png"),
        (remove("images/001.png"), "masks/001.png has no image under"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_read(folder, spoil, complaint):
    spoil(folder)
    with pytest.raises(InputError, match=complaint):
        read_folder(folder)


def test_a_folder_without_images_is_refused(folder):
    for file in (folder / "images").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="no images"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (write_mask("L", size=(9, 7)), "001.png has 9 x 7 pixels, its image 24 x 24"),
        (write_mask("RGB"), "the mode RGB; save it as a PNG of 8 bits"),
        (write_mask("L", color=200), "has the value 200, but .*classes.txt has 23 lines"),
        (lambda folder: (folder / "masks/001.png").write_text("a letter"), "is no PNG image"),
        (lambda folder: cut(folder / "masks/001.png"), "masks/001.png cannot be read"),
        (lambda folder: cut(folder / "images/001.png"), "images/001.png is damaged"),
    ],
)
def test_a_pair_that_cannot_be_used_is_named(folder, spoil, complaint):
    spoil(folder)
    found = read_folder(folder)
    assert found[0].mask.shape == (SIZE, SIZE)
    with pytest.raises(InputError, match=complaint):
        found[1]


def cut(path):
    """Leave half of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def test_a_mask_may_hold_pixels_that_do_not_count(folder):
    write_mask("L", color=255)(folder)
    assert (read_folder(folder)[1].mask == 255).all()


def test_a_large_benchmark_is_listed_without_reading_it(tmp_path):
    path = write_folder(tmp_path, num=1)
    (path / "images/000.png").write_bytes(b"")
    assert len(read_folder(path)) == 1


@pytest.mark.parametrize("form", ["{}: {}", "{}:{}", "{}\t{}", "\ufeff{} = {}"])
def test_numbers_before_the_names_of_classes_are_left_out(folder, form):
    lines = [form.format(number, name) for number, name in enumerate(CLASSES)]
    (folder / "classes.txt").write_text("\r\n".join(lines).replace("\n\ufeff", "\n"), "utf-8")
    assert read_folder(folder).labels == CLASSES
    assert read_folder(with_numbered_background(folder)).has_background


def with_numbered_background(path):
    (path / "classes.txt").write_text("0: Background\n1: tree\n")
    return path


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1: sky\n2: grass", "line 1 is '1: sky', .* number every line from 0"),
        ("sky\ndoor, double door", "line 2 is 'door, double door', and commas separate labels"),
    ],
)
def test_a_line_that_is_no_single_class_is_refused(folder, text, complaint):
    (folder / "classes.txt").write_text(text)
    with pytest.raises(InputError, match=f"classes.txt, {complaint}"):
        read_folder(folder)


def test_a_mask_in_the_orientation_of_the_file_is_turned_with_its_image(folder):
    whole = scene(0, split="test", size=SIZE)
    image, mask = whole.image[:-8], whole.mask[:-8]
    exif = Image.Exif()
    exif[0x0112] = 6  # upright after a quarter turn clockwise
    path = next((folder / "images").glob("000.*"))
    path.unlink()
    Image.fromarray(np.rot90(image)).save(path.with_suffix(".png"), exif=exif)
    for written in (mask, np.rot90(mask)):  # upright, or as in the file
        Image.fromarray(written).save(folder / "masks/000.png")
        sample = read_folder(folder)[0]
        np.testing.assert_array_equal(sample.image, image)
        np.testing.assert_array_equal(sample.mask, mask)


@pytest.mark.parametrize(("orientation", "height"), [(2, 16), (3, 16), (4, 16), (6, SIZE)])
def test_a_mask_whose_size_shows_no_orientation_needs_it_named(folder, orientation, height):
    whole = scene(0, split="test", size=SIZE)
    image, mask = whole.image[:height], whole.mask[:height]
    back = {6: 8}.get(orientation, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = folder / "images/000.png"
    Image.fromarray(imaging.upright(image[..., 0], back)).save(path, exif=exif)
    for name, written in {"upright": mask, "file": imaging.upright(mask, back)}.items():
        Image.fromarray(written).save(folder / "masks/000.png")
        sample = read_folder(folder, mask_orientation=name)[0]
        np.testing.assert_array_equal(sample.image[..., 0], image[..., 0])
        np.testing.assert_array_equal(sample.mask, mask)
        assert checked(read_folder(folder, mask_orientation=name))
    sentence = rf"000\.png has an EXIF orientation \({orientation}\).* --mask-orientation upright"
    with pytest.raises(InputError, match=sentence):
        checked(read_folder(folder))
    with pytest.raises(InputError, match=sentence):
        read_folder(folder)[0]


def test_a_mask_that_is_alike_either_way_needs_no_orientation(folder):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (SIZE, SIZE)).save(folder / "images/000.png", exif=exif)
    Image.new("L", (SIZE, SIZE)).save(folder / "masks/000.png")
    assert not read_folder(folder)[0].mask.any()
