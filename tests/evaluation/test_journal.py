import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.journal import Journal
from groupvit.evaluation.measurement import Measurement
from groupvit.evaluation.per_image import ImageCounts
from groupvit.segmentation.segmenter import Segmenter


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
    done = Journal(tmp_path / "a", measurement).done
    for rank in range(2):
        journal = Journal(tmp_path / "b", measurement, rank=rank)
        for counts in islice(done, rank, None, 2):
            journal.add(counts)
    watched = Watched(read_folder(book))
    evaluate(segmenter, watched, folder=tmp_path / "b")
    assert watched.read == []


def test_another_measurement_is_refused(measurement, tmp_path):
    Journal(tmp_path, measurement)
    with pytest.raises(InputError, match="of an evaluation with another protocol; choose another"):
        Journal(tmp_path, replace(measurement, protocol="groupvit"))


def test_a_folder_that_cannot_be_made_is_named(measurement, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--out .*file cannot be written"):
        Journal(tmp_path / "file", measurement)


def test_counts_come_back_from_json(segmenter, measurement, book, tmp_path):
    evaluate(segmenter, read_folder(book), folder=tmp_path, limit=1)
    [counts] = Journal(tmp_path, measurement).done
    again = ImageCounts.from_values(json.loads(json.dumps(counts.to_values())))
    assert again.to_values() == counts.to_values()
    assert again.name == "000.png"
    assert again.confusion[:, 2].sum() == 24 * 24
    np.testing.assert_array_equal(again.oracles[1], counts.oracles[1])
