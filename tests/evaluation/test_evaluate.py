import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from groupvit.errors import InputError
from groupvit.evaluation.benchmark import Sample
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.folder import Folder
from groupvit.evaluation.oracle import oracle_map
from groupvit.evaluation.scores import Confusion
from groupvit.segmentation.background import Background
from groupvit.segmentation.segmenter import Segmenter
from tests.evaluation.folders import with_background


@pytest.fixture(scope="module")
def segmenter(lively_model):
    return Segmenter(lively_model, batch_size=2)


@pytest.fixture(scope="module")
def found(segmenter, book):
    return evaluate(segmenter, Folder.read(book))


class Perfect(Sequence):
    """A benchmark whose truth is what a model says."""

    name = "a perfect world"
    labels = ("sky", "grass|lawn", "dog")
    has_background = False

    def __init__(self, segmenter, folder):
        pictures = [sample.picture for sample in map(folder.__getitem__, range(len(folder)))]
        self._samples = [
            Sample(picture, segmenter(picture, self.labels).label_map) for picture in pictures
        ]

    def __len__(self):
        return len(self._samples)

    def __getitem__(self, index):
        return self._samples[index]


def test_the_scores_are_those_of_the_segmenter_picture_by_picture(segmenter, book, found):
    folder = Folder.read(book)
    labels, oracle = Confusion(len(folder.labels)), Confusion(len(folder.labels))
    for index in range(len(folder)):
        picture, mask = folder[index]
        result = segmenter(picture, folder.labels)
        labels.add(mask, result.label_map)
        oracle.add(mask, oracle_map(mask, result.group_map(0), len(folder.labels)))
    assert found.scores == labels.scores(folder.labels)
    assert found.oracles[0] == oracle.scores(folder.labels)
    assert found.num_pictures == 5


def test_a_model_that_is_always_right_scores_one(segmenter, book):
    found = evaluate(segmenter, Perfect(segmenter, Folder.read(book)))
    assert found.scores.miou == found.oracle.miou == found.scores.pixel_accuracy == 1.0
    assert found.scores.labels == ("sky", "grass", "dog")


def test_the_groups_of_every_stage_are_counted(segmenter, book, found):
    maps = [segmenter.group([Folder.read(book)[index].picture])[0] for index in range(5)]
    for stage in range(2):
        counts = [len(np.unique(grouped.group_map(stage))) for grouped in maps]
        assert found.groups_used[stage] == np.mean(counts)


def test_the_limit_takes_the_first_pictures(segmenter, book, found):
    folder = Folder.read(book)
    some = evaluate(segmenter, replace(folder, pairs=folder.pairs[:3]))
    limited = evaluate(segmenter, folder, limit=3)
    assert (limited.scores, limited.oracles) == (some.scores, some.oracles)
    assert evaluate(segmenter, folder, limit=99).scores == found.scores


def test_progress_is_told_after_every_picture(segmenter, book):
    told = []
    evaluate(segmenter, Folder.read(book), limit=3, on_progress=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_background_is_what_stays_below_the_threshold(segmenter, folder):
    benchmark = Folder.read(with_background(folder))
    found = evaluate(segmenter, benchmark, background_threshold=0.9)
    labels = Confusion(len(benchmark.labels) + 1)
    for index in range(len(benchmark)):
        picture, mask = benchmark[index]
        background = Background(threshold=0.9)
        labels.add(mask, segmenter(picture, benchmark.labels, background=background).label_map)
    assert found.scores == labels.scores(("background", *benchmark.labels))


@pytest.mark.parametrize(
    ("change", "settings", "complaint"),
    [
        (with_background, {}, "give a background threshold, such as 0.5"),
        (lambda folder: folder, {"background_threshold": 0.5}, "begin with no background"),
        (lambda folder: folder, {"limit": 0}, "limit is 0; give at least 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(segmenter, folder, change, settings, complaint):
    with pytest.raises(InputError, match=complaint):
        evaluate(segmenter, Folder.read(change(folder)), **settings)


def test_a_benchmark_in_which_nothing_counts_is_refused(segmenter, folder):
    for file in (folder / "masks").iterdir():
        Image.new("L", (24, 24), 255).save(file)
    with pytest.raises(InputError, match="no pixel counts"):
        evaluate(segmenter, Folder.read(folder))


def test_all_values_go_into_json(found):
    values = json.loads(json.dumps(found.to_values(), allow_nan=False))
    assert values["scores"]["miou"] == found.scores.miou
    assert values["scores"]["iou"]["sky"] == found.scores.iou[0]
    assert [oracle["miou"] for oracle in values["oracles"]] == [o.miou for o in found.oracles]
    assert values["num_pictures"] == 5


def test_a_network_without_groups_is_its_own_oracle_of_patches(tiny_config, build, book):
    stages = (replace(tiny_config.image.stages[-1], depth=1),)
    model = build(replace(tiny_config, image=replace(tiny_config.image, stages=stages)))
    found = evaluate(Segmenter(model), Folder.read(book), limit=1)
    assert len(found.oracles) == 1
    assert found.groups_used[0] > 1
