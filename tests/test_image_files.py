from pathlib import Path

import pytest
from PIL import Image

from groupvit.errors import InputError
from groupvit.image_files import output_mark, search


@pytest.fixture
def folder(tmp_path):
    """A folder of one image in each of the formats that are read, and other files."""
    folder = tmp_path / "in"
    (folder / "below").mkdir(parents=True)
    for name in ("a.jpg", "b.JFIF", "c.jpe", "below/d.webp", "e.png"):
        kind = "JPEG" if "j" in name.lower() else None
        Image.new("RGB", (4, 4)).save(folder / name, kind)
    for name in ("IMG_1.CR2", "f.jxl", "below/g.psd", "h.svg", "notes.txt", ".hidden.jxl"):
        (folder / name).write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "elsewhere/z.png")
    (folder / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    return folder


def names(found):
    return [image.name.as_posix() for image in found.images]


def test_jpeg_files_of_all_suffixes_are_images(folder):
    assert names(search([folder])) == ["a.jpg", "b.JFIF", "below/d.webp", "c.jpe", "e.png"]


def test_skipped_files_and_folders_are_counted_and_named(folder):
    assert search([folder]).describe_skipped() == (
        "skipped 1 linked folders: link; "
        "4 files in formats that are not read: IMG_1.CR2, g.psd, f.jxl, h.svg"
    )
    assert search([f"{folder}/*"]).describe_skipped() == (
        "skipped 3 files in formats that are not read: IMG_1.CR2, f.jxl, h.svg"
    )
    assert search([folder / "a.jpg"]).describe_skipped() == ""


def test_many_skipped_files_are_counted(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    for number in range(12):
        (tmp_path / f"{number:02}.jxl").touch()
    described = search([tmp_path]).describe_skipped()
    assert described.startswith("skipped 12 files")
    assert described.endswith("06.jxl, 07.jxl and 4 more")


def test_a_folder_of_other_images_alone_names_them(tmp_path):
    (tmp_path / "a.jxl").touch()
    with pytest.raises(InputError, match=r"no images in .* \(skipped 1 .*a.jxl"):
        search([tmp_path])


def test_results_of_an_earlier_run_are_no_images(folder):
    out = folder / "out"
    out.mkdir()
    Image.new("RGB", (4, 4)).save(out / "a.webp")
    Image.new("RGB", (4, 4)).save(folder / "a.overlay.png", pnginfo=output_mark())
    Image.new("P", (4, 4)).save(folder / "below/a.png", pnginfo=output_mark())
    for given in (folder, f"{folder}/**"):
        found = search([given], outputs=out)
        expected = ["a.jpg", "b.JFIF", "below/d.webp", "c.jpe", "e.png"]
        assert [name for name in names(found) if not name.startswith("link")] == expected
        assert "3 files written by groupvit: a.overlay.png, a.png, a.webp" in (
            found.describe_skipped()
        )
    # A result that is named itself, or lies in the folder that is named, is read.
    assert names(search([out / "a.webp"], outputs=out)) == ["a.webp"]
    assert names(search([out], outputs=out)) == ["a.webp"]
    assert names(search([Path(folder, "a.overlay.png")], outputs=out)) == ["a.overlay.png"]
