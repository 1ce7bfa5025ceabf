import numpy as np
import pytest
from PIL import Image

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.folds import readers
from groupvit.evaluation.folds.cutting import shown_in
from groupvit.evaluation.folds.training_sets import write_sets


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty images; the third has classes 1 and 3, the others class 1 or 2, and void."""
    root = tmp_path_factory.mktemp("own")
    for name in ("images", "masks"):
        (root / name).mkdir()
    rng = np.random.default_rng(0)
    for index in range(40):
        values = [0, 1, 3, 255] if index == 2 else [0, 1 + index % 2, 1 + index % 2, 255]
        Image.fromarray(rng.integers(0, 256, (2, 4, 3)).astype(np.uint8)).save(
            root / f"images/{index:02d}.jpg"
        )
        Image.fromarray(np.array([values, values], np.uint8)).save(root / f"masks/{index:02d}.png")
    (root / "classes.txt").write_text("background\ndog|puppy\ncat\nsky\n")
    return root


def test_sets_lack_the_held_out_classes(folder, tmp_path):
    folded = readers.own(read_folder(folder), shown_in, held_out=["puppy"])
    [number] = write_sets(tmp_path / "sets", folded, folded.folds)
    below = tmp_path / "sets/fold-held-out"
    assert (below / "held-out.txt").read_text() == "dog\n"
    training, validation = (read_folder(below / name) for name in ("training", "validation"))
    assert (len(training), len(validation)) == (number, 2) == (18, 2)
    for one in (training, validation):
        assert one.labels == ("cat", "sky")
        for index in range(len(one)):
            sample = one[index]
            np.testing.assert_array_equal(sample.mask[0], [0, 1, 1, 255])
            original = Image.open(folder / "images" / sample.name)
            np.testing.assert_array_equal(sample.image, np.asarray(original))


def test_as_published_held_out_classes_are_background(folder, tmp_path):
    folded = readers.own(read_folder(folder), shown_in, held_out=["dog"])
    [number] = write_sets(tmp_path / "sets", folded, folded.folds, with_held_out=True)
    training = read_folder(tmp_path / "sets/fold-held-out/training")
    assert len(training) == number == 19
    by_name = {training[index].name: training[index].mask for index in range(number)}
    np.testing.assert_array_equal(by_name["02.jpg"][0], [0, 0, 2, 255])


def test_drawn_scenes_become_files(tmp_path):
    folded = readers.storybook(12, shown_in, training=True)
    numbers = write_sets(tmp_path / "sets", folded, folded.folds[1:], limit=3)
    assert numbers == [3, 3]
    training = read_folder(tmp_path / "sets/fold-2/training")
    assert len(training) == 3
    assert not {"chair", "lamp", "bird"} & set(training.labels)
    assert len(training.labels) == 10
    assert not (tmp_path / "sets/fold-2/validation").exists()
    names = (tmp_path / "sets/fold-2/held-out.txt").read_text().split()
    assert names == ["mushroom", "balloon", "bird", "chair", "lamp"]


def test_mistakes_are_named(folder, book, tmp_path):
    folded = readers.own(read_folder(folder), shown_in, held_out=["dog", "cat"])
    with pytest.raises(InputError, match="every image shows a class of fold held-out"):
        write_sets(tmp_path / "sets", folded, folded.folds)
    (tmp_path / "sets").mkdir()
    with pytest.raises(InputError, match=r"--sets .*sets exists; name another folder"):
        write_sets(tmp_path / "sets", folded, folded.folds)
    plain = readers.own(read_folder(book), shown_in)
    with pytest.raises(InputError, match="has no background, which held-out classes become"):
        write_sets(tmp_path / "other", plain, plain.folds, with_held_out=True)
