import pickle

import numpy as np
import pytest
from PIL import Image

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.folds import readers
from groupvit.evaluation.folds.cutting import Episode, shown_in


def write(path, values=None):
    """An image, or a mask of these values in two rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if values is None:
        Image.fromarray(np.full((2, 4, 3), 90, np.uint8)).save(path)
    else:
        Image.fromarray(np.array([values, values], np.uint8)).save(path)


@pytest.fixture(params=["VOC2012", "VOCdevkit/VOC2012"])
def pascal(request, tmp_path):
    """Three images of val and two to train on, in either place of the devkit."""
    voc = tmp_path / request.param
    masks = {
        "2007_000033": [0, 1, 255, 15],
        "2007_000042": [0, 19, 19, 6],
        "2007_000061": [4, 4, 0, 0],
        "2008_000001": [11, 0, 0, 0],
        "2008_000002": [1, 11, 0, 0],
    }
    for stem, values in masks.items():
        write(voc / f"JPEGImages/{stem}.jpg")
        write(voc / f"SegmentationClassAug/{stem}.png", values)
    lists = voc / "ImageSets/Segmentation/val.txt"
    lists.parent.mkdir(parents=True)
    lists.write_text("2007_000033\n2007_000042\n2007_000061\n")
    return tmp_path


@pytest.fixture
def coco(tmp_path):
    for split, number in (("val2014", 1), ("train2014", 2)):
        stem = f"COCO_{split}_{number:012d}"
        write(tmp_path / f"COCO2014/{split}/{stem}.jpg")
        write(tmp_path / f"COCO2014/annotations/{split}/{stem}.png", [0, 1, 6, 80])
    return tmp_path


def write_lists(root, **lists):
    folder = root / "splits/pascal/val"
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def test_pascal_without_lists_has_every_class_of_every_image(pascal):
    found = readers.pascal_5i(pascal, shown_in)
    assert (found.name, len(found.benchmark), len(found.folds)) == ("PASCAL-5i", 3, 4)
    assert found.labels[1] == "aeroplane"
    assert found.test(found.folds[0]).episodes == (Episode(0, 1), Episode(2, 4))
    assert found.test(found.folds[1]).episodes == (Episode(1, 6),)
    assert found.validation(found.folds[0]).episodes == (Episode(1, 6), Episode(1, 19))


def test_the_published_lists_of_pascal_are_read(pascal):
    write_lists(pascal, fold0=["2007_000061__04"], fold1=["2007_000042__06"])
    found = readers.pascal_5i(pascal, shown_in)
    assert found.test(found.folds[0]).episodes == (Episode(2, 4),)
    assert found.test(found.folds[3]).episodes == (Episode(1, 19),)


def test_wrong_lists_are_refused(pascal):
    for line, expected in (
        (
            "2007_000061__06",
            "names the class 6 for 2007_000061, and fold 0 has the classes 1, 2, 3",
        ),
        ("2007_999999__01", "names '2007_999999', which is no image"),
        ("2007_000061", "has the line '2007_000061'; write IMAGE__CLASS"),
        ("2007_000061__dog", "has the line '2007_000061__dog'; write IMAGE__CLASS"),
    ):
        write_lists(pascal, fold0=[line])
        with pytest.raises(InputError, match=expected):
            readers.pascal_5i(pascal, shown_in)


def test_training_images_of_pascal_are_those_of_its_lists(pascal):
    folder = pascal / "splits/pascal/trn"
    folder.mkdir(parents=True)
    for fold in range(4):
        (folder / f"fold{fold}.txt").write_text("2008_000001__11\n2008_000002__01\n")
    found = readers.pascal_5i(pascal, shown_in, training=True)
    assert [pair.image.stem for pair in found.benchmark.pairs] == ["2008_000001", "2008_000002"]
    assert found.training_images(found.folds[0]) == [0]
    assert found.training_images(found.folds[3]) == [0, 1]


def test_missing_files_of_pascal_are_named(pascal, tmp_path):
    with pytest.raises(InputError, match=r"no list .*VOC2012/ImageSets/Segmentation/val.txt; exp"):
        readers.pascal_5i(tmp_path / "elsewhere", shown_in)
    next(pascal.rglob("2007_000042.jpg")).unlink()
    with pytest.raises(InputError, match=r"no file .*2007_000042.jpg; PASCAL-5i is expected as"):
        readers.pascal_5i(pascal, shown_in)


def test_coco_and_its_lists_are_read(coco):
    found = readers.coco_20i(coco, shown_in)
    assert (len(found.folds), len(found.folds[0].held_out)) == (4, 20)
    assert found.labels[1] == "person"
    assert found.test(found.folds[0]).episodes == (Episode(0, 1),)
    assert found.test(found.folds[1]).episodes == (Episode(0, 6),)
    assert found.test(found.folds[3]).episodes == (Episode(0, 80),)
    lists = coco / "splits/coco/val"
    lists.mkdir(parents=True)
    names = ["val2014/COCO_val2014_000000000001.jpg"]
    (lists / "fold1.pkl").write_bytes(pickle.dumps({1: [], 5: names * 2}))
    found = readers.coco_20i(coco, shown_in)
    assert found.test(found.folds[1]).episodes == (Episode(0, 6), Episode(0, 6))
    assert found.published.void_counts
    training = readers.coco_20i(coco, shown_in, training=True)
    assert training.benchmark.pairs[0].image.parent.name == "train2014"


class Hostile:
    """Code that a pickled file would run."""

    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    "content",
    [b"", b"no pickle", pickle.dumps([1]), pickle.dumps({"a": 3}), pickle.dumps({0: [Hostile()]})],
)
def test_a_pickled_file_of_something_else_is_refused_and_never_run(coco, content, capsys):
    file = coco / "splits/coco/val/fold0.pkl"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"fold0\.pkl is no list of COCO-20i"):
        readers.coco_20i(coco, shown_in)
    assert capsys.readouterr().out == ""


def test_a_folder_is_cut_in_fives_or_by_names(book):
    folder = read_folder(book)
    found = readers.own(folder, shown_in)
    assert found.name == f"5i over {folder.name}"
    assert [len(fold.held_out) for fold in found.folds] == [5, 5, 5, 5, 3]
    assert found.folds[0].held_out[0] == 0
    chosen = readers.own(folder, shown_in, held_out=["grass", "sky"])
    assert [fold.held_out for fold in chosen.folds] == [(0, 1)]
    lists = book.parent / "lists"
    lists.mkdir(exist_ok=True)
    with pytest.raises(InputError, match=r"no list .*fold0.txt; expected is"):
        readers.own(folder, shown_in, lists=lists)


def test_the_storybook_has_three_folds_and_other_scenes_to_train_on():
    found, training = (
        readers.storybook(2, lambda _: (), training=training) for training in (False, True)
    )
    assert [len(fold.held_out) for fold in found.folds] == [5, 5, 5]
    assert found.name == "STORY-5i"
    assert found.benchmark.seed != training.benchmark.seed
