from dataclasses import replace

import pytest
import torch

from groupvit import Background
from groupvit.segmentation.groups import GroupedWindow
from groupvit.segmentation.labels import parse
from groupvit.segmentation.protocol import GROUPVIT, OURS
from groupvit.segmentation.scoring import (
    max_over_synonyms,
    score,
    sum_over_synonyms,
    top_labels,
)
from groupvit.segmentation.windows import Box

SCALE = torch.tensor(10.0)
LABELS = ["dog", "cat", "grass", "sky", "car", "tree"]


def unit(*shape, seed=0):
    return torch.nn.functional.normalize(
        torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1
    )


@pytest.fixture
def window():
    segments = unit(4, 16, seed=2)
    return GroupedWindow(
        box=Box(0, 0, 8, 8),
        grid=(1, 1),
        assignments=(),
        embedding=unit(16, seed=1),
        segments=segments,
        naming="segments",
        naming_embeddings=segments,
    )


def scores(window, labels=LABELS, background=None, protocol=OURS, words=None, **settings):
    parsed = parse(labels, background)
    words = unit(len(parsed.words), 16, seed=3) if words is None else words
    return score(
        window.naming_embeddings,
        window.embedding,
        words,
        parsed,
        logit_scale=SCALE,
        protocol=protocol,
        background=background,
        **settings,
    )


def test_the_scores_of_a_group_are_shared_out_over_the_labels(window):
    assert torch.allclose(scores(window).sum(dim=1), torch.ones(4))


def test_a_permutation_of_labels_permutes_the_scores(window):
    order = [3, 1, 5, 0, 2, 4]
    words = unit(6, 16, seed=3)
    permuted = scores(window, [LABELS[i] for i in order], words=words[order])
    assert torch.allclose(permuted, scores(window, words=words)[:, order])


def test_the_published_scores_are_a_product_and_leave_out_all_but_five(window):
    published = scores(window, protocol=GROUPVIT)
    assert ((published > 0).sum(dim=1) == 5).all()
    left_out = int((published == 0).all(dim=0).nonzero())
    of_window = window.embedding @ unit(6, 16, seed=3).T
    assert left_out == int(of_window.argmin())


def test_top_labels_keeps_the_best_and_the_first_of_equals():
    kept = top_labels(torch.tensor([1.0, 3.0, 3.0, 2.0]), 1)
    assert kept.tolist() == [False, True, False, False]
    assert top_labels(torch.zeros(3), None).all()
    assert top_labels(torch.zeros(3), 7).all()


def test_a_label_counts_as_much_as_its_max_over_synonyms():
    parsed = parse(["car|automobile|taxi", "dog"])
    logits = torch.tensor([[1.0, 5.0, 2.0, 3.0], [0.0, -1.0, -2.0, 9.0]])
    assert max_over_synonyms(logits, parsed).tolist() == [[5.0, 3.0], [0.0, 9.0]]


def test_a_synonym_can_only_raise_the_score_of_its_label(window):
    words = unit(7, 16, seed=3)
    alone = scores(window, LABELS, words=words[[0, 2, 3, 4, 5, 6]])
    together = scores(window, ["dog|hound", *LABELS[1:]], words=words)
    assert (together[:, 0] >= alone[:, 0] - 1e-6).all()


def test_the_threshold_leaves_the_most_certain_group_in_front(window):
    result = scores(window, background=Background(threshold=1.0))
    in_front = result.argmax(dim=1) != 0
    assert in_front.sum() == 1
    assert int(in_front.nonzero()) == int(result[:, 1:].max(dim=1).values.argmax())


def test_a_threshold_of_nothing_changes_nothing(window):
    result = scores(window, background=Background(threshold=0.0))
    assert (result[:, 0] == 0).all()
    assert torch.equal(result[:, 1:], scores(window))


MAX = replace(OURS, synonyms="max")


def test_background_words_compete_and_the_best_counts_as_published(window):
    background = Background(words=("wall", "floor"))
    words = unit(8, 16, seed=3)
    result = scores(window, background=background, words=words, protocol=MAX)
    everything = scores(window, [*LABELS, "wall", "floor"], words=words, protocol=MAX)
    assert torch.equal(result[:, 0], everything[:, 6:].max(dim=1).values)
    assert torch.equal(result[:, 1:], everything[:, :6])


@pytest.mark.parametrize("certainty", ["score", "similarity"])
def test_words_of_the_background_add_too(window, certainty):
    background = Background(threshold=-1.0, words=("wall|brick", "floor"))
    words = unit(9, 16, seed=3)
    result = scores(window, background=background, words=words, certainty=certainty)
    of_words = (SCALE * window.naming_embeddings @ words.mT).softmax(dim=1)
    torch.testing.assert_close(result[:, 0], of_words[:, 6:].sum(dim=1))


def test_the_background_is_one_of_the_labels_that_are_kept(window):
    background = Background(words=("wall", "floor"))
    words = unit(8, 16, seed=3)
    of_window = (SCALE * window.embedding @ words.mT).exp()
    of_labels = torch.cat([of_window[:6], of_window[6:].sum()[None]])
    for count in range(1, 8):
        protocol = replace(OURS, top_labels=count)
        result = scores(window, background=background, words=words, protocol=protocol)
        kept = torch.cat([result[:, 1:], result[:, :1]], dim=1)[0] > 0
        assert kept.nonzero()[:, 0].tolist() == sorted(of_labels.topk(count).indices.tolist())
        torch.testing.assert_close(result.sum(dim=1), torch.ones(4))


def test_probabilities_of_synonyms_add(window):
    labels, words = ["dog|puppy|hound", "cat", "grass|lawn"], unit(6, 16, seed=3)
    of_words = (SCALE * window.naming_embeddings @ words.mT).softmax(dim=1)
    parts = (of_words[:, :3], of_words[:, 3:4], of_words[:, 4:])
    expected = torch.stack([part.sum(dim=1) for part in parts], dim=1)
    torch.testing.assert_close(scores(window, labels, words=words), expected)


def test_a_label_of_one_word_has_exactly_its_logit():
    logits = 30 * torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    found = sum_over_synonyms(logits, parse(["car|taxi", "dog", "cat"]))
    assert torch.equal(found[:, 1:], logits[:, 2:])
    assert sum_over_synonyms(logits, parse(["car", "taxi", "dog", "cat"])) is logits
    torch.testing.assert_close(found[:, 0], logits[:, :2].logsumexp(dim=1))


def test_the_same_word_twice_counts_twice_and_a_margin_stays(window):
    words = unit(3, 16, seed=3)
    double = words[[0, 0, 1, 2]]
    labels, twice = ["dog", "cat", "sky"], ["dog|hound", "cat", "sky"]
    background = Background(threshold=0.1)
    one = scores(window, labels, background, words=words, certainty="similarity")
    two = scores(window, twice, background, words=double, certainty="similarity")
    torch.testing.assert_close(two[:, 0], one[:, 0])
    odds = scores(window, labels, words=words)[:, 0], scores(window, twice, words=double)[:, 0]
    torch.testing.assert_close(odds[1] / (1 - odds[1]), 2 * odds[0] / (1 - odds[0]))


def test_the_scale_of_a_protocol_is_that_of_the_softmax(window):
    found = scores(window, protocol=replace(OURS, scale=4.0))
    expected = (4 * window.naming_embeddings @ unit(6, 16, seed=3).mT).softmax(dim=1)
    torch.testing.assert_close(found, expected)


def test_a_label_below_its_own_threshold_gives_way(window):
    plain = scores(window)
    group = 2
    label = int(plain[group].argmax())
    limit = float(plain[group, label]) + 0.01
    result = scores(window, background=Background(thresholds={LABELS[label]: min(1.0, limit)}))
    assert result[group].argmax() == 0
    others = [g for g in range(4) if plain[g].argmax() != label]
    assert (result[others].argmax(dim=1) == plain[others].argmax(dim=1) + 1).all()


def similar(window, threshold, **settings):
    background = Background(threshold=threshold, **settings)
    return scores(window, background=background, certainty="similarity")


def test_a_part_near_to_no_label_is_background(window):
    words = unit(6, 16, seed=3)
    nearest = (window.naming_embeddings @ words.mT).max(dim=1).values
    for threshold in (-0.5, 0.0, 0.1, 0.3, 0.9):
        found = similar(window, threshold)
        torch.testing.assert_close(found[:, 0], 1 - torch.sigmoid(10 * (nearest - threshold)))
        assert (found[nearest < threshold].argmax(dim=1) == 0).all()


def test_fits_do_not_change_which_label_is_best(window):
    plain = scores(window)
    assert torch.equal(similar(window, 0.1)[:, 1:].argmax(dim=1), plain.argmax(dim=1))
    assert torch.allclose(similar(window, -1.0)[:, 1:], plain, atol=1e-3)


def test_a_label_may_have_a_threshold_of_its_own(window):
    plain, strict = similar(window, 0.1), similar(window, 0.1, thresholds={"dog": 1.0})
    assert torch.equal(strict[:, 2:], plain[:, 2:])
    assert (strict[:, 1] < plain[:, 1]).all()
    alone = scores(window, background=Background(thresholds={"dog": 1.0}), certainty="similarity")
    assert (alone[:, 0] == 0).all()  # labels without a threshold fit everywhere


def test_words_of_the_background_compete_too(window):
    background = Background(threshold=0.1, words=("wall",))
    words = unit(7, 16, seed=3)
    words[6] = window.naming_embeddings[2]
    found = scores(window, background=background, words=words, certainty="similarity")
    assert found.shape == (4, 7)
    assert found[2].argmax() == 0


def test_centered_models_tell_a_background_by_similarity(tiny_config):
    assert OURS.certainty_of(tiny_config) == "score"
    centered = replace(tiny_config, centered=True)
    assert OURS.certainty_of(centered) == "similarity"
    assert GROUPVIT.certainty_of(centered) == "score"


def test_only_some_protocols_spare_the_most_certain_group(window):
    background = Background(threshold=1.0)
    spared = scores(window, background=background)[:, 0]
    assert spared.tolist().count(0.0) == 1
    none = scores(window, background=background, protocol=replace(OURS, keep_best_group=False))
    assert (none[:, 0] == 1).all()


def test_a_margin_is_what_the_model_asks_for_taken_off_the_cosine(window):
    words = unit(6, 16, seed=3)
    nearest = (window.naming_embeddings @ words.mT).max(dim=1).values
    limits = torch.tensor([0.3, -0.3, 0.0, 0.5])
    found = scores(
        window, background=Background(threshold=0.1), certainty="margin", learned_thresholds=limits
    )
    expected = 1 - torch.sigmoid(10 * (nearest - limits - 0.1))
    torch.testing.assert_close(found[:, 0], expected)


def test_models_that_have_learned_a_background_go_by_margins(tiny_config):
    learned = replace(tiny_config, background_layer=True, centered=True)
    assert OURS.certainty_of(learned) == "margin"
    assert GROUPVIT.certainty_of(learned) == "score"
    assert replace(OURS, certainty="similarity").certainty_of(learned) == "similarity"
