from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from groupvit import Background, InputError, Segmenter
from groupvit.model.inference import DEFAULT_INFERENCE, InferenceConfig
from groupvit.segmentation.protocol import GROUPVIT, OURS

LABELS = ["dog", "cat", "grass"]


@pytest.fixture
def segmenter(lively_model):
    return Segmenter(lively_model)


def test_a_file_a_pillow_image_and_an_array_are_segmented_alike(segmenter, street, tmp_path):
    image = street(40, 60)
    path = tmp_path / "street.png"
    Image.fromarray(image).save(path)
    results = [segmenter(p, LABELS) for p in (path, str(path), Image.open(path), image)]
    for result in results[1:]:
        assert np.array_equal(result.label_map, results[0].label_map)


def test_several_images_give_what_each_gives_alone(segmenter, street):
    images = [street(40, 60), street(64, 64, seed=1), street(60, 40, seed=2), street(40, 60, 3)]
    together = segmenter(images, LABELS)
    for image, result in zip(images, together, strict=True):
        alone = segmenter(image, LABELS)
        assert result.label_map.shape == image.shape[:2]
        assert (result.label_map == alone.label_map).mean() > 0.999


def test_each_window_goes_through_the_network_once(lively_model, street, monkeypatch):
    seen = []
    encode = lively_model.encode_image
    monkeypatch.setattr(lively_model, "encode_image", lambda x: (seen.append(len(x)), encode(x))[1])
    protocol = replace(GROUPVIT, short_side=32, window=32, stride=16)
    Segmenter(lively_model, protocol=protocol, batch_size=2)([street(40, 80)] * 2, LABELS)
    assert sum(seen) == 2 * 3
    assert max(seen) == 2


def test_words_can_be_given_again_without_looking_again(segmenter, street, monkeypatch):
    grouped = segmenter.group([street(40, 60)])[0]
    monkeypatch.setattr(segmenter.model, "encode_image", None)
    first = segmenter.label(grouped, ["dog", "cat"])
    assert segmenter.label(grouped, ["sky", "dog|cat"]).labels == ("sky", "dog")
    assert first.labels == ("dog", "cat")


def test_the_label_map_is_the_argmax_of_the_scores(segmenter, street):
    result = segmenter(street(40, 60), LABELS, background=Background(threshold=0.5))
    assert result.labels == ("background", *LABELS)
    assert result.scores.shape == (4, 40, 60)
    assert (result.scores.argmax(axis=0) == result.label_map).mean() > 0.999
    assert result.scores.min() >= 0
    assert result.scores.max() <= 1


def test_one_label_takes_every_pixel(segmenter, street):
    assert segmenter(street(40, 60), ["dog"]).shares() == {"dog": 1.0}


def test_top_labels_limits_what_may_be_used(segmenter, street):
    result = segmenter(street(64, 64), ["a", "b", "c", "d", "e", "f"], top_labels=1)
    assert sum(share > 0 for share in result.shares().values()) == 1


def test_the_filter_of_a_protocol_can_be_turned_off(lively_model, street):
    labels = ["a", "b", "c", "d", "e", "f", "g"]
    segmenter = Segmenter(lively_model, protocol=replace(GROUPVIT, top_labels=2))
    [filtered] = segmenter(street(32, 32), labels).group_scores
    [every] = segmenter(street(32, 32), labels, top_labels="all").group_scores
    assert (filtered > 0).any(dim=0).sum() == 2
    assert (every > 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (2, 3)])
def test_tiny_and_thin_images_are_segmented(segmenter, size):
    assert segmenter(np.zeros((*size, 3), dtype=np.uint8), LABELS).label_map.shape == size


def test_a_thin_image_is_refused_by_the_published_protocol(lively_model):
    with pytest.raises(InputError, match="too thin for the protocol 'groupvit'"):
        Segmenter(lively_model, protocol="groupvit")(np.zeros((1, 5000, 3), np.uint8), LABELS)


def test_bfloat16_gives_nearly_the_same_labels(lively_model, street):
    image = street(64, 64)
    exact = Segmenter(lively_model)(image, LABELS)
    rough = Segmenter(lively_model, dtype="bfloat16")(image, LABELS)
    assert (exact.label_map == rough.label_map).mean() > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "abacus"}, "the device 'abacus' cannot be used here; try cpu"),
        ({"dtype": "float8"}, "dtype is 'float8'; known are float32, bfloat16"),
        ({"protocol": "theirs"}, "there is no protocol 'theirs'"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_wrong_options_are_refused(lively_model, options, message):
    with pytest.raises(InputError, match=message):
        Segmenter(lively_model, **options)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "labels is empty"),
        (["dog", "Dog"], "twice"),
        (["dog", ""], "empty"),
        (["background"], "background"),
        (["dog " * 90], "77"),
    ],
)
def test_wrong_labels_are_refused(segmenter, street, labels, message):
    with pytest.raises(InputError, match=message):
        segmenter(street(20, 20), labels)


@pytest.mark.parametrize("kind", [tuple, np.array, iter, dict.fromkeys])
@pytest.mark.parametrize("background", [None, 0.4, "auto", Background(words=("sky",))])
def test_labels_may_come_in_any_collection(segmenter, street, kind, background):
    expected = segmenter(street(20, 20), ["dog", "cat"], background=background)
    result = segmenter(street(20, 20), kind(["dog", "cat"]), background=background)
    assert result.labels == expected.labels
    np.testing.assert_array_equal(result.label_map, expected.label_map)


def test_a_number_or_auto_is_a_background(segmenter, street):
    image, labels = street(20, 20), ["dog", "cat"]
    usual = segmenter.default_background(labels)
    for given, meant in ((0.4, Background(threshold=0.4)), ("auto", usual)):
        np.testing.assert_array_equal(
            segmenter(image, labels, background=given).label_map,
            segmenter(image, labels, background=meant).label_map,
        )


def test_names_that_are_nearly_known_are_suggested(lively_model):
    with pytest.raises(InputError, match="did you mean 'storybook'"):
        Segmenter.load("storybok")
    with pytest.raises(InputError, match="did you mean 'groupvit'"):
        Segmenter(lively_model, protocol="grupvit")


def test_wrong_labels_are_refused_before_many_images_are_read(segmenter):
    with pytest.raises(InputError, match="labels is empty"):
        segmenter(["missing.jpg"], [])


def test_the_model_keeps_no_gradient_and_stays_in_evaluation(segmenter, street):
    result = segmenter(street(20, 20), LABELS)
    assert not segmenter.model.training
    assert not any(table.requires_grad for table in result.group_scores)


def test_no_images_give_no_results(segmenter):
    assert segmenter([], LABELS) == []


def test_torch_is_left_as_it_was(segmenter, street):
    before = torch.random.get_rng_state()
    segmenter(street(20, 20), LABELS)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.is_grad_enabled()


def test_every_level_may_take_the_words(lively_model, street):
    protocol = replace(OURS, naming="levels")
    image = street(40, 60)
    ours, levels = (Segmenter(lively_model, protocol=p)(image, LABELS) for p in (OURS, protocol))
    assert np.array_equal(ours.group_map(), levels.group_map())
    assert ours.group_labels() == levels.group_labels()
    assert levels.scores.shape == ours.scores.shape
    assert (levels.scores.argmax(axis=0) == levels.label_map).mean() > 0.999
    assert not np.array_equal(ours.scores, levels.scores)


def test_the_model_says_what_takes_the_words_unless_the_protocol_does(lively_model, street):
    own, image = InferenceConfig(naming="levels"), street(40, 60)

    def scores(inference, naming):
        protocol = replace(OURS, naming=naming)
        return Segmenter(lively_model, inference=inference, protocol=protocol)(image, LABELS).scores

    assert np.array_equal(scores(own, None), scores(DEFAULT_INFERENCE, "levels"))
    assert np.array_equal(scores(own, "segments"), scores(DEFAULT_INFERENCE, None))
    published = Segmenter(lively_model, inference=own, protocol=GROUPVIT)
    window = published.group([image])[0].windows[0]
    assert window.naming == "segments"
    assert torch.equal(window.naming_embeddings, window.segments)


def test_margins_want_a_model_that_has_learned_a_background(lively_model):
    with pytest.raises(InputError, match="has learned no background; train one"):
        Segmenter(lively_model, protocol=replace(OURS, certainty="margin"))
