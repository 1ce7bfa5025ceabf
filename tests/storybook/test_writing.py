import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from groupvit.errors import InputError
from groupvit.imaging import read
from groupvit.storybook.scene import CLASSES, scene
from groupvit.storybook.workers import write
from groupvit.storybook.writing import Storybook

BOOK = Storybook(num=14, size=32, num_test=5, shard_size=6)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("written")
    return out, write(out, BOOK, workers=1)


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "sheet.png"
    }


def members(folder):
    for path in sorted((folder / "pairs").iterdir()):
        with tarfile.open(path) as tar:
            yield from ((one.name, tar.extractfile(one).read()) for one in tar)


def test_shards_hold_images_and_captions_in_order_and_no_masks(written):
    names = [name for name, _ in members(written[0])]
    expected = [(f"{i:09d}.jpg", f"{i:09d}.txt") for i in range(14)]
    assert names == [name for pair in expected for name in pair]
    assert sorted(path.name for path in (written[0] / "pairs").iterdir()) == [
        f"storybook-{number:06d}.tar" for number in range(3)
    ]


def test_shards_hold_the_scenes(written):
    files = dict(members(written[0]))
    drawn = scene(9, size=32)
    assert files["000000009.txt"].decode().split("\n") == list(drawn.captions)
    image = np.asarray(Image.open(io.BytesIO(files["000000009.jpg"])))
    assert np.abs(image.astype(int) - drawn.image).mean() < 6


def test_the_benchmark_holds_exact_masks_of_scenes_for_tests(written):
    test = written[0] / "test"
    assert (test / "classes.txt").read_text().split() == list(CLASSES)
    for index in range(5):
        with Image.open(test / f"masks/{index:06d}.png") as mask:
            assert mask.mode == "P"
            assert np.array_equal(np.asarray(mask), scene(index, split="test", size=32).mask)
        assert read(test / f"images/{index:06d}.jpg").shape == (32, 32, 3)


def test_the_fractions_of_images_with_each_class_are_returned(written):
    fractions = written[1]
    assert tuple(fractions) == CLASSES
    assert all(0 <= fraction <= 1 for fraction in fractions.values())
    assert 1 <= sum(fractions.values()) <= 7


@pytest.mark.slow
def test_several_workers_write_the_same_bytes(written, tmp_path):
    done, totals = [], set()

    def note(now, total):
        done.append(now)
        totals.add(total)

    assert write(tmp_path, BOOK, workers=2, on_progress=note) == written[1]
    assert totals == {19}
    assert contents(tmp_path) == contents(written[0])
    assert done[-1] == 19
    assert done == sorted(done)


def test_nothing_is_overwritten_unasked(written):
    before = contents(written[0])
    with pytest.raises(InputError, match=r"pairs exists already.*--overwrite"):
        write(written[0], BOOK, workers=1)
    assert contents(written[0]) == before


def test_overwriting_leaves_nothing_of_the_earlier_run(tmp_path):
    write(tmp_path, Storybook(num=4, size=16, num_test=1, shard_size=1), workers=1)
    small = Storybook(num=1, size=16, num_test=0)
    write(tmp_path, small, workers=1, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pairs", "sheet.png"]
    assert [path.name for path in (tmp_path / "pairs").iterdir()] == ["storybook-000000.tar"]


def test_folders_of_others_are_not_replaced(tmp_path):
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs/mine.tar").touch()
    with pytest.raises(InputError, match="no storybook"):
        write(tmp_path, BOOK, workers=1, overwrite=True)
    assert (tmp_path / "pairs/mine.tar").exists()


def test_a_run_that_is_stopped_leaves_nothing(tmp_path):
    def stop(done, _total):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, BOOK, workers=1, on_progress=stop)
    assert not list(tmp_path.iterdir())


def test_the_contact_sheet_is_an_image(written):
    assert read(written[0] / "sheet.png").shape[1] > 1000


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"size": 15}, "size is 15; give 16 to 512 pixels"),
        ({"size": 513}, "size is 513"),
        ({"num": 0}, "num is 0; give at least 1"),
        ({"shard_size": 0}, "shard_size is 0"),
        ({"num_test": -1}, "num_test is -1"),
    ],
)
def test_impossible_storybooks_are_refused(wrong, says):
    with pytest.raises(InputError, match=says):
        Storybook(**wrong)


def test_no_worker_is_refused(tmp_path):
    with pytest.raises(InputError, match="workers is 0"):
        write(tmp_path, BOOK, workers=0)


def test_an_unwritable_place_is_a_mistake(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "file/below", BOOK, workers=1)


def test_unnamed_things_are_drawn_and_never_named(tmp_path):
    unnamed = ("tree", "house", "sun", "moon", "car", "cloud")
    write(tmp_path / "plain", Storybook(num=40, size=32, num_test=0), workers=1)
    write(tmp_path / "unnamed", Storybook(num=40, size=32, num_test=0, unnamed=unnamed), workers=1)
    images, captions = [], []
    for name in ("plain", "unnamed"):
        with tarfile.open(tmp_path / name / "pairs/storybook-000000.tar") as tar:
            files = {one.name: tar.extractfile(one).read() for one in tar}
        images.append({name: data for name, data in files.items() if name.endswith(".jpg")})
        captions.append(b"\n".join(files[name] for name in files if name.endswith(".txt")).lower())
    assert images[0] == images[1]
    for name in unnamed:
        assert name.encode() in captions[0]
        assert name.encode() not in captions[1]
    with pytest.raises(InputError, match=r"unnamed has 'trees', which is no thing; .* mean 'tree'"):
        Storybook(unnamed=("trees",))
