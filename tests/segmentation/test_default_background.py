from dataclasses import replace

from groupvit.model.inference import InferenceConfig
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background
from tests.trunks import trunk_model

WORDS = InferenceConfig(naming="parts", background_words=("sky", "tree", "dog", "bus"))


def test_words_that_a_model_recommends_are_its_background():
    segmenter = Segmenter(trunk_model(), inference=WORDS)
    assert segmenter.default_background(["cat"]) == Background(words=WORDS.background_words)


def test_words_of_labels_are_left_to_them():
    segmenter = Segmenter(trunk_model(), inference=WORDS)
    assert segmenter.default_background(["Trees", "dogs|puppy"]).words == ("sky", "bus")
    assert segmenter.default_background(["buses", "sky"]).words == ("tree", "dog")


def test_a_threshold_is_left_where_labels_claim_all_words_or_synonyms_do_not_add():
    segmenter = Segmenter(trunk_model(), inference=WORDS)
    assert segmenter.default_background(["sky", "tree", "dog", "bus"]).threshold == 0.2
    published = Segmenter(trunk_model(), inference=WORDS, protocol=replace(OURS, synonyms="max"))
    assert published.default_background(["cat"]).threshold == 0.2


def test_thresholds_that_a_model_was_calibrated_to_come_first():
    calibrated = Background(threshold=0.4, certainty="similarity")
    segmenter = Segmenter(trunk_model(), inference=WORDS, background=calibrated)
    assert segmenter.default_background(["cat"]) == calibrated
