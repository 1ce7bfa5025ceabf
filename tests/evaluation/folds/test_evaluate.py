import json
from dataclasses import replace

import numpy as np
import pytest

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.folds import readers
from groupvit.evaluation.folds.cutting import shown_in
from groupvit.evaluation.folds.evaluate import Rules, evaluate_part
from groupvit.evaluation.folds.others import Others
from groupvit.evaluation.folds.scores import MODEL
from groupvit.evaluation.folds.selection import Candidate, Runner
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background
from tests.evaluation.folds.reference import reference
from tests.evaluation.test_journal import Watched

WORDS = Rules(others=Others(words=("others",)))


@pytest.fixture(scope="module")
def segmenter(lively_model):
    return Segmenter(lively_model, batch_size=2)


@pytest.fixture(scope="module")
def story():
    return readers.storybook(14, shown_in)


@pytest.fixture(scope="module")
def own(book):
    return readers.own(read_folder(book), shown_in)


def without_time(found):
    return {
        key: value
        for key, value in found.to_values().items()
        if key not in ("seconds", "num_timed")
    }


def test_scores_are_those_of_the_reference_from_labels_one_by_one(segmenter, own):
    part = own.test(own.folds[1])
    found = evaluate_part(segmenter, own, part, WORDS)
    episodes, name_tests, tested = [], [], set()
    for image, label in part.episodes:
        sample = own.benchmark[image]
        others = Background(words=("others",))

        def painted(number, sample=sample, others=others):
            result = segmenter(sample.image, [own.labels[number]], background=others)
            return (result.label_map == 1).tolist()

        episodes.append((label, painted(label), sample.mask.tolist()))
        absent = [
            one
            for turn in range(1, len(part.classes))
            if (one := part.classes[(part.classes.index(label) + turn) % len(part.classes)])
            not in np.unique(sample.mask)
        ]
        if image not in tested and absent:
            name_tests.append((painted(absent[0]), sample.mask.tolist()))
        tested.add(image)
    scores = found.scores[MODEL]
    expected = reference(episodes, name_tests)
    assert (scores.miou, scores.fb_iou, scores.name_test) == pytest.approx(expected)
    assert found.num_episodes == len(part.episodes)


def test_an_evaluation_that_was_stopped_goes_on(segmenter, book, own, tmp_path):
    part = own.test(own.folds[0])
    whole = evaluate_part(segmenter, own, part, WORDS)
    images = part.images(None)
    watched = readers.own(Watched(read_folder(book), fails_at=images[-1]), shown_all(own))
    with pytest.raises(KeyboardInterrupt):
        evaluate_part(segmenter, watched, part, WORDS, folder=tmp_path)
    resumed = readers.own(Watched(read_folder(book)), shown_all(own))
    found = evaluate_part(segmenter, resumed, part, WORDS, folder=tmp_path)
    assert 0 < found.num_timed < len(images)
    assert without_time(found) == without_time(whole)
    with pytest.raises(InputError, match="of an evaluation with another others; choose another"):
        evaluate_part(segmenter, own, part, Rules(others=Others(words=("dog",))), folder=tmp_path)
    fewer = replace(part, episodes=part.episodes[1:])
    with pytest.raises(InputError, match="of an evaluation with another episodes; choose another"):
        evaluate_part(segmenter, own, fewer, WORDS, folder=tmp_path)


def shown_all(folded):
    return lambda _: folded.shown


def test_a_limit_keeps_the_scores_of_its_images(segmenter, own, tmp_path):
    part = own.test(own.folds[0])
    evaluate_part(segmenter, own, part, WORDS, folder=tmp_path)
    found = evaluate_part(segmenter, own, part, WORDS, folder=tmp_path, limit=2)
    assert (found.num_images, found.num_timed) == (2, 0)
    alone = evaluate_part(segmenter, own, part, WORDS, limit=2)
    assert found.scores == alone.scores


def test_stretched_images_and_masks_are_square(own):
    rules = Rules(others=Others(), stretch=30, void_counts=True)
    sample = own.benchmark[0]
    sample.mask[0, :] = 255
    found = rules.applied(sample)
    assert (found.image.shape, found.mask.shape) == ((30, 30, 3), (30, 30))
    assert 255 not in found.mask
    assert set(np.unique(found.mask)) <= {0, *np.unique(sample.mask)}
    assert Rules(others=Others()).applied(sample).mask is sample.mask


def test_words_of_others_that_name_the_class_are_left_out(segmenter):
    others = Others(words=("dog", "cats", "sky"))
    assert others.background(segmenter, "cat|kitten").words == ("dog", "sky")
    with pytest.raises(InputError, match="all words of --others name the class 'dog' too"):
        Others(words=("dogs",)).background(segmenter, "dog")


def test_a_threshold_of_scores_alone_is_refused(segmenter):
    for others in (Others(), Others(threshold=0.5)):
        with pytest.raises(InputError, match="softmax over the labels, which is 1 for a single"):
            others.background(segmenter, "dog")
    both = Others(words=("sky",), threshold=0.5).background(segmenter, "dog")
    assert (both.words, both.threshold) == (("sky",), 0.5)


def test_candidates_are_chosen_by_classes_that_are_not_held_out(segmenter, story):
    fold = story.folds[0]
    candidates = [Candidate("m{fold}", Others(words=(word,))) for word in ("others", "sky", "sea")]
    loaded = []

    def load(name):
        loaded.append(name)
        return segmenter

    runner = Runner(folded=story, rules=WORDS, load=load)
    found = runner.evaluate(fold, candidates)
    best = max(found.tried, key=lambda one: one.miou)
    assert found.candidate == best.candidate
    assert set(loaded) == {"m0"}
    validation = evaluate_part(
        segmenter, story, story.validation(fold), Rules(others=found.candidate.others)
    )
    assert validation.scores[MODEL].miou == best.miou
    assert without_time(found.validation) == without_time(validation)
    tested = evaluate_part(segmenter, story, story.test(fold), Rules(others=found.candidate.others))
    assert without_time(found.test) == without_time(tested)
    json.dumps(found.to_values())


def test_the_published_choice_is_by_the_test(segmenter, story):
    fold = story.folds[0]
    candidates = [Candidate("m", Others(words=(word,))) for word in ("others", "sky")]
    runner = Runner(folded=story, rules=WORDS, load=lambda _: segmenter, as_published=True)
    found = runner.evaluate(fold, candidates)
    assert found.validation is None
    assert found.test.scores[MODEL].miou == max(one.miou for one in found.tried)
    assert found.test.num_episodes == 1000
