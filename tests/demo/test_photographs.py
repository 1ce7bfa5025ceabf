import pytest
from PIL import Image

from groupvit.demo.photographs import SIDE, draw_row, overview
from groupvit.photographs.bundled import FOLDER, PHOTOGRAPHS


@pytest.fixture(scope="module")
def row(segmenter):
    return draw_row(segmenter, PHOTOGRAPHS[0])


@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=lambda photograph: photograph.file)
def test_a_photograph_is_small_and_has_credit_source_and_license(photograph):
    with Image.open(photograph.path) as image:
        assert max(image.size) <= 640
    assert photograph.path.stat().st_size < 100_000
    table = (FOLDER / "README.md").read_text("utf-8")
    [line] = [line for line in table.splitlines() if f"`{photograph.file}`" in line]
    assert f"| {photograph.credit} |" in line
    assert "CC0" in line or "public domain" in line


def test_all_files_are_shown_once():
    files = {path.name for path in FOLDER.glob("*.jpg")}
    assert sorted(photograph.file for photograph in PHOTOGRAPHS) == sorted(files)


def test_a_row_shows_the_photograph_its_labels_and_the_groups_of_every_stage(row):
    titles = [panel.title for panel in row.panels]
    assert titles == ["Image", "Labels", "Groups, stage 1", "Groups, stage 2"]
    assert {max(panel.image.size) for panel in row.panels} == {SIDE}


def test_labels_are_those_of_a_call(segmenter, row):
    photograph = PHOTOGRAPHS[0]
    shares = segmenter(photograph.path, photograph.labels).shares()
    for entry in row.panels[1].legend:
        assert entry.share == pytest.approx(shares[entry.name], abs=0.02)


def test_a_figure_has_four_images_of_each(segmenter):
    panels = overview(segmenter, PHOTOGRAPHS[:2])
    assert len(panels) == 8
    assert panels[3][0] == ", ".join(PHOTOGRAPHS[0].labels)
    assert panels[0][1].width == panels[3][1].width
