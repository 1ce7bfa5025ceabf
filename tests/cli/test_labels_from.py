"""Labels of each image from a table."""

import numpy as np
import pytest
from PIL import Image

from groupvit.cli.image_labels import read_labels
from groupvit.errors import InputError
from groupvit.image_files import find

TABLE = 'image,labels\ndog.jpg,dog,grass\ncat.png,"cat, sky"\ntrip/boat.webp,boat,sea,sky\n'


@pytest.fixture
def table(tmp_path):
    (tmp_path / "labels.csv").write_text(TABLE)
    return tmp_path / "labels.csv"


def test_every_image_gets_its_own_labels(run, model, photos, table, tmp_path):
    arguments = ("--labels-from", table, "--model", model, "--format", "index", "npz")
    code, _, complaint = run("segment", photos, *arguments, "--out", tmp_path / "o")
    assert (code, complaint) == (0, "")
    saved = np.load(tmp_path / "o" / "cat.npz")["labels"].tolist()
    assert saved == ["cat", "sky"]
    assert np.asarray(Image.open(tmp_path / "o" / "trip/boat.png")).max() <= 2


def test_thresholds_of_other_labels_are_left_out(run, model, photos, table, tmp_path):
    arguments = ("--labels-from", table, "--model", model, "--format", "npz")
    background = ("--background", 0.1, "--background-thresholds", "sky=0.2", "boat=0.3")
    code, _, complaint = run("segment", photos, *arguments, *background, "--out", tmp_path / "o")
    assert (code, complaint) == (0, "")
    saved = np.load(tmp_path / "o" / "dog.npz")["labels"].tolist()
    assert saved == ["background", "dog", "grass"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("dog.jpg,dog\n", "no row for 2 of 3 images, such as cat.png"),
        (TABLE + "dog.jpg,dog\n", "line 5: dog.jpg is there twice"),
        (TABLE + "other.jpg,\n", "line 5: other.jpg has no labels"),
    ],
)
def test_incomplete_tables_are_refused(photos, table, content, sentence):
    table.write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_labels(table, find([photos]))


def test_rows_may_have_the_path_as_given(photos, table):
    table.write_text("".join(f"{image.path};dog;sky\n" for image in find([photos])))
    assert set(read_labels(table, find([photos])).values()) == {("dog", "sky")}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [(("--labels", "dog"), "keep one of them"), (("--format", "coco"), "the same categories")],
)
def test_options_that_do_not_fit_are_refused(run, photos, table, tmp_path, options, sentence):
    code, _, complaint = run(
        "segment", photos, "--labels-from", table, *options, "--out", tmp_path / "o"
    )
    assert code == 2
    assert sentence in complaint
    assert not (tmp_path / "o").exists()
