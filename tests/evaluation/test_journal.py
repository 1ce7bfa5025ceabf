import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.journal import Journal, data_of
from groupvit.evaluation.measurement import Measurement
from groupvit.evaluation.per_image import ImageCounts
from groupvit.segmentation.segmenter import Segmenter
from tests.evaluation.folders import write_folder


@pytest.fixture(scope="module")
def segmenter(lively_model):
    return Segmenter(lively_model, batch_size=2)


@pytest.fixture(scope="module")
def measurement(segmenter, book):
    return Measurement.of(segmenter, read_folder(book))


class Watched:
    """A benchmark that remembers what was read of it, and can fail like a killed process."""

    def __init__(self, benchmark, fails_at=None):
        self._benchmark, self._fails_at = benchmark, fails_at
        self.read = []

    def __getattr__(self, name):
        return getattr(self._benchmark, name)

    def __len__(self):
        return len(self._benchmark)

    def __getitem__(self, index):
        if index == self._fails_at:
            raise KeyboardInterrupt
        self.read.append(index)
        return self._benchmark[index]


def stopped(segmenter, book, out, at):
    """An evaluation that is stopped before it reads an image."""
    with pytest.raises(KeyboardInterrupt):
        evaluate(segmenter, Watched(read_folder(book), at), folder=out)


def test_a_stopped_evaluation_goes_on_where_it_was(segmenter, book, tmp_path):
    whole = evaluate(segmenter, read_folder(book))
    stopped(segmenter, book, tmp_path, 4)
    watched = Watched(read_folder(book))
    found = evaluate(segmenter, watched, folder=tmp_path)
    assert watched.read == [4]
    assert (found.num_images, found.num_timed) == (5, 1)
    expected, values = whole.to_values(), found.to_values()
    for timed in ("seconds", "num_timed"):
        del expected[timed], values[timed]
    assert values == expected
    assert found.images == whole.images


def test_half_a_line_is_as_none(segmenter, book, tmp_path):
    stopped(segmenter, book, tmp_path, 4)
    [file] = tmp_path.iterdir()
    whole = file.read_text()
    file.write_text(whole[: len(whole) - 30])
    watched = Watched(read_folder(book))
    evaluate(segmenter, watched, folder=tmp_path)
    assert watched.read == [3, 4]
    lines = file.read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines[1:]] == [0, 1, 2, 3, 4]


def test_a_finished_one_is_only_read(segmenter, book, tmp_path):
    first = evaluate(segmenter, read_folder(book), folder=tmp_path)
    watched = Watched(read_folder(book))
    found = evaluate(segmenter, watched, folder=tmp_path)
    assert watched.read == []
    assert found.scores == first.scores


def test_a_smaller_limit_takes_what_it_needs(segmenter, book, tmp_path):
    evaluate(segmenter, read_folder(book), folder=tmp_path)
    found = evaluate(segmenter, read_folder(book), folder=tmp_path, limit=2)
    assert found.scores == evaluate(segmenter, read_folder(book), limit=2).scores


def test_what_other_processes_did_is_done(segmenter, measurement, book, tmp_path):
    evaluate(segmenter, read_folder(book), folder=tmp_path / "a")
    done = Journal(tmp_path / "a", measurement, data_of(read_folder(book))).done
    for rank in range(2):
        journal = Journal(tmp_path / "b", measurement, data_of(read_folder(book)), rank=rank)

        for counts in islice(done, rank, None, 2):
            journal.add(counts)
        journal.close()
    watched = Watched(read_folder(book))
    evaluate(segmenter, watched, folder=tmp_path / "b")
    assert watched.read == []


def test_another_measurement_is_refused(measurement, tmp_path):
    Journal(tmp_path, measurement, "").close()
    with pytest.raises(InputError, match="of an evaluation with another protocol; choose another"):
        Journal(tmp_path, replace(measurement, protocol="groupvit"), "")


def test_a_folder_that_cannot_be_made_is_named(measurement, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--out .*file cannot be written"):
        Journal(tmp_path / "file", measurement, "")


def test_counts_come_back_from_json(segmenter, measurement, book, tmp_path):
    evaluate(segmenter, read_folder(book), folder=tmp_path, limit=1)
    [counts] = Journal(tmp_path, measurement, data_of(read_folder(book))).done
    again = ImageCounts.from_values(json.loads(json.dumps(counts.to_values())))
    assert again.to_values() == counts.to_values()
    assert again.name == "000.png"
    assert again.confusion[:, 2].sum() == 24 * 24
    np.testing.assert_array_equal(again.oracles[1], counts.oracles[1])


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_changed_data_are_noticed(segmenter, tmp_path, kind):
    folder, out = write_folder(tmp_path / "own", num=2), tmp_path / "out"
    evaluate(segmenter, read_folder(folder), folder=out)
    changed = folder / kind / "001.png"
    Image.fromarray(np.asarray(Image.open(changed))[::-1]).save(changed)
    os.utime(changed, ns=(1, 1))
    with pytest.raises(InputError, match="whose images or masks were others, or have changed"):
        evaluate(segmenter, read_folder(folder), folder=out)
    found = evaluate(segmenter, read_folder(folder), folder=tmp_path / "other")
    assert (found.num_images, found.num_timed) == (2, 2)


def test_another_map_of_mask_values_is_other_data(folder):
    one = read_folder(folder, mask_values=["0-22=sky"])
    other = read_folder(folder, mask_values=["0=ignored", "1-22=grass"])
    assert len({data_of(one), data_of(other)}) == 2
    assert data_of(one) == data_of(read_folder(folder))


def test_a_folder_belongs_to_one_evaluation_at_a_time(segmenter, measurement, book, tmp_path):
    data = data_of(read_folder(book))
    with Journal(tmp_path, measurement, data):
        with pytest.raises(
            InputError, match=r"another process is evaluating into .* now; wait for"
        ):
            evaluate(segmenter, read_folder(book), folder=tmp_path)
        cleared = []
        with pytest.raises(InputError, match="another process"):
            Journal(tmp_path, measurement, data, prepare=lambda: cleared.append(1))
        assert not cleared
    assert evaluate(segmenter, read_folder(book), folder=tmp_path).num_images == 5


def test_an_image_counts_once_however_often_it_was_written(segmenter, book, tmp_path):
    first = evaluate(segmenter, read_folder(book), folder=tmp_path)
    [file] = tmp_path.iterdir()
    lines = file.read_text().splitlines(keepends=True)
    (tmp_path / "images-1.jsonl").write_text("".join([lines[0], *lines[2:]]))
    file.write_text("".join([*lines, lines[1]]))
    found = evaluate(segmenter, read_folder(book), folder=tmp_path)
    assert found.num_images == 5
    np.testing.assert_array_equal(found.confusion, first.confusion)


def test_a_damaged_line_is_refused_in_one_sentence(segmenter, book, tmp_path):
    evaluate(segmenter, read_folder(book), folder=tmp_path, limit=2)
    [file] = tmp_path.iterdir()
    lines = file.read_text().splitlines()
    whole = json.loads(lines[1])
    broken = [
        *("", "{", "[]", "7", "null", "\x00", "\ufffd", "{}", "[" * 100_000, "9" * 5000),
        *(json.dumps(whole | {"index": value}) for value in (-1, "0", None, 1.5)),
        *(json.dumps(whole | {"confusion": value}) for value in ([[0, 1]], [[0, 99, 1]], "x", 7)),
        *(json.dumps(whole | {"confusion": [[0, -1, 1]]}), json.dumps(whole | {"name": 3})),
        *(json.dumps(whole | {"confusion": [[0, 0, 10**30]]}), json.dumps(whole | {"oracles": []})),
        *(json.dumps(whole | {"groups_used": ["a", "b"]}), json.dumps(whole | {"boundary": {}})),
        json.dumps(whole | {"best_group_iou": [["x"], []]}),
    ]
    for line in broken:
        file.write_text("\n".join([lines[0], line, lines[2], ""]))
        with pytest.raises(InputError, match=r"images-0\.jsonl, line 2 is damaged") as caught:
            evaluate(segmenter, read_folder(book), folder=tmp_path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
    for line in ("", "[]", "7", "{"):
        file.write_text("\n".join([line, *lines[1:], ""]))
        with pytest.raises(InputError, match="line 1 is damaged"):
            evaluate(segmenter, read_folder(book), folder=tmp_path)
    file.write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(InputError, match="line 1 is damaged"):
        evaluate(segmenter, read_folder(book), folder=tmp_path)


TWO_AT_ONCE = """
import sys
from groupvit.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_processes_on_one_folder_count_every_image_once(book, tmp_path):
    command = [sys.executable, "-c", TWO_AT_ONCE, "evaluate", str(book), "--model", "storybook"]
    both = [
        subprocess.Popen(
            [*command, "--out", str(tmp_path / "out"), "--shown", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    ended = [(process.communicate(), process.returncode) for process in both]
    assert sorted(code for _, code in ended) in ([0, 0], [0, 2])
    for (_, complaint), code in ended:
        assert code == 0 or "another process is evaluating into" in complaint
    assert json.loads((tmp_path / "out/scores.json").read_text())["num_images"] == 5
