import json
from itertools import islice

import numpy as np
import pytest
import torch

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.journal import Journal, fingerprint
from groupvit.evaluation.per_image import Counts
from groupvit.segmentation.segmenter import Segmenter

CONDITIONS = {"protocol": "ours", "words": ["sky"]}


@pytest.fixture(scope="module")
def segmenter(lively_model):
    return Segmenter(lively_model, batch_size=2)


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
        evaluate(segmenter, Watched(read_folder(book), at), journal=Journal(out, CONDITIONS))


def test_a_stopped_evaluation_goes_on_where_it_was(segmenter, book, tmp_path):
    whole = evaluate(segmenter, read_folder(book))
    stopped(segmenter, book, tmp_path, 4)
    watched = Watched(read_folder(book))
    found = evaluate(segmenter, watched, journal=Journal(tmp_path, CONDITIONS))
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
    evaluate(segmenter, watched, journal=Journal(tmp_path, CONDITIONS))
    assert watched.read == [3, 4]
    lines = file.read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines[1:]] == [0, 1, 2, 3, 4]


def test_a_finished_one_is_only_read(segmenter, book, tmp_path):
    first = evaluate(segmenter, read_folder(book), journal=Journal(tmp_path, CONDITIONS))
    watched = Watched(read_folder(book))
    found = evaluate(segmenter, watched, journal=Journal(tmp_path, CONDITIONS))
    assert watched.read == []
    assert found.scores == first.scores


def test_a_smaller_limit_takes_what_it_needs(segmenter, book, tmp_path):
    evaluate(segmenter, read_folder(book), journal=Journal(tmp_path, CONDITIONS))
    found = evaluate(segmenter, read_folder(book), journal=Journal(tmp_path, CONDITIONS), limit=2)
    assert found.scores == evaluate(segmenter, read_folder(book), limit=2).scores


def test_what_other_processes_did_is_done(segmenter, book, tmp_path):
    everything = Journal(tmp_path / "a", CONDITIONS)
    evaluate(segmenter, read_folder(book), journal=everything)
    done = Journal(tmp_path / "a", CONDITIONS).done
    for rank in range(2):
        journal = Journal(tmp_path / "b", CONDITIONS, rank=rank)
        for counts in islice(done, rank, None, 2):
            journal.add(counts)
    watched = Watched(read_folder(book))
    evaluate(segmenter, watched, journal=Journal(tmp_path / "b", CONDITIONS))
    assert watched.read == []


def test_another_measurement_is_refused(tmp_path):
    Journal(tmp_path, CONDITIONS)
    with pytest.raises(InputError, match="of an evaluation with another protocol; choose another"):
        Journal(tmp_path, CONDITIONS | {"protocol": "groupvit"})


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--out .*file cannot be written"):
        Journal(tmp_path / "file", CONDITIONS)


def test_counts_come_back_from_json(segmenter, book, tmp_path):
    evaluate(segmenter, read_folder(book), journal=Journal(tmp_path, CONDITIONS), limit=1)
    [counts] = Journal(tmp_path, CONDITIONS).done
    again = Counts.from_values(json.loads(json.dumps(counts.to_values())))
    assert again.to_values() == counts.to_values()
    assert again.name == "000.png"
    assert again.confusion[:, 2].sum() == 24 * 24
    np.testing.assert_array_equal(again.oracles[1], counts.oracles[1])


def test_the_fingerprint_follows_every_weight(lively_model, build, tiny_config):
    model = build(tiny_config)
    before = fingerprint(model)
    assert fingerprint(model) == before != fingerprint(lively_model)
    with torch.no_grad():
        model.log_scale += 1e-6
    assert fingerprint(model) != before
