import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Sample
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.oracle import oracle_map
from groupvit.evaluation.scores import overlap, scores_of
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background
from tests.evaluation.folders import with_background

HALF = Background(threshold=0.5)


@pytest.fixture(scope="module")
def segmenter(lively_model):
    return Segmenter(lively_model, batch_size=2)


@pytest.fixture(scope="module")
def found(segmenter, book):
    return evaluate(segmenter, read_folder(book))


class Perfect(Sequence):
    """A benchmark whose truth is what a model says."""

    key = ""
    name = "a perfect world"
    labels = ("sky", "grass|lawn", "dog")
    has_background = False

    def __init__(self, segmenter, folder):
        images = [sample.image for sample in map(folder.__getitem__, range(len(folder)))]
        self._samples = [
            Sample("one", image, segmenter(image, self.labels).label_map) for image in images
        ]

    def __len__(self):
        return len(self._samples)

    def __getitem__(self, index):
        return self._samples[index]


def test_the_scores_are_those_of_the_segmenter_image_by_image(segmenter, book, found):
    folder = read_folder(book)
    size = (len(folder.labels), len(folder.labels))
    labels, oracle = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for index in range(len(folder)):
        _, image, mask = folder[index]
        result = segmenter(image, folder.labels)
        labels += overlap(mask, result.label_map, size)
        oracle += overlap(mask, oracle_map(mask, result.group_map(0), size[0]), size)
    assert found.scores == scores_of(labels, folder.labels)
    assert found.oracles[0] == scores_of(oracle, folder.labels)
    np.testing.assert_array_equal(found.confusion, labels)
    assert found.num_images == 5


def test_a_model_that_is_always_right_scores_one(segmenter, book):
    found = evaluate(segmenter, Perfect(segmenter, read_folder(book)))
    assert found.scores.miou == found.oracle.miou == found.scores.pixel_accuracy == 1.0
    assert found.scores.labels == ("sky", "grass", "dog")


def test_the_groups_of_every_stage_are_counted(segmenter, book, found):
    maps = [segmenter.group([read_folder(book)[index].image])[0] for index in range(5)]
    for stage in range(2):
        counts = [len(np.unique(grouped.group_map(stage))) for grouped in maps]
        assert found.groups_used[stage] == np.mean(counts)


def test_the_limit_takes_the_first_images(segmenter, book, found):
    folder = read_folder(book)
    some = evaluate(segmenter, replace(folder, pairs=folder.pairs[:3]))
    limited = evaluate(segmenter, folder, limit=3)
    assert (limited.scores, limited.oracles) == (some.scores, some.oracles)
    assert evaluate(segmenter, folder, limit=99).scores == found.scores


def test_progress_is_told_after_every_image(segmenter, book):
    told = []
    evaluate(segmenter, read_folder(book), limit=3, on_progress=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_background_is_what_stays_below_the_threshold(segmenter, folder):
    benchmark = read_folder(with_background(folder))
    found = evaluate(segmenter, benchmark, background=Background(threshold=0.9))
    size = (len(benchmark.labels) + 1, len(benchmark.labels) + 1)
    table = np.zeros(size, np.int64)
    for index in range(len(benchmark)):
        _, image, mask = benchmark[index]
        background = Background(threshold=0.9)
        result = segmenter(image, benchmark.labels, background=background)
        table += overlap(mask, result.label_map, size)
    assert found.scores == scores_of(table, ("background", *benchmark.labels))


@pytest.mark.parametrize(
    ("change", "settings", "complaint"),
    [
        (
            lambda folder: folder,
            {"background": HALF},
            "begin with no background",
        ),
        (lambda folder: folder, {"limit": 0}, "limit is 0; give at least 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(segmenter, folder, change, settings, complaint):
    with pytest.raises(InputError, match=complaint):
        evaluate(segmenter, read_folder(change(folder)), **settings)


def test_a_benchmark_in_which_nothing_counts_is_refused(segmenter, folder):
    for file in (folder / "masks").iterdir():
        Image.new("L", (24, 24), 255).save(file)
    with pytest.raises(InputError, match="no pixel counts"):
        evaluate(segmenter, read_folder(folder))


def test_all_values_go_into_json(found):
    values = json.loads(json.dumps(found.to_values(), allow_nan=False))
    assert values["scores"]["miou"] == found.scores.miou
    assert values["scores"]["iou"]["sky"] == found.scores.iou[0]
    assert [oracle["miou"] for oracle in values["oracles"]] == [o.miou for o in found.oracles]
    assert values["num_images"] == 5


def test_a_network_without_groups_is_its_own_oracle_of_patches(tiny_config, build, book):
    stages = (replace(tiny_config.image.stages[-1], depth=1),)
    model = build(replace(tiny_config, image=replace(tiny_config.image, stages=stages)))
    found = evaluate(Segmenter(model), read_folder(book), limit=1)
    assert len(found.oracles) == 1
    assert found.groups_used[0] > 1
