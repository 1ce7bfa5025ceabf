from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from groupvit.errors import InputError
from groupvit.probes.concepts import SMALLEST, concepts, nearest_words
from groupvit.probes.concepts_page import concepts_page
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from tests import lively
from tests.pages import CHECKS, Reader

WORDS = ("sky", "grass", "dog", "cat")


@pytest.fixture(scope="module")
def segmenter(lively_model):
    return Segmenter(lively_model)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(5):
        Image.fromarray(lively.street(40, 60, seed)).save(folder / f"{seed}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def found(segmenter, images):
    return concepts(segmenter, images, WORDS, num_examples=2)


def test_stages_come_in_order_and_the_largest_first(found):
    order = [(one.stage, -one.area) for one in found]
    assert order == sorted(order)
    for stage in range(2):
        assert sum(one.area for one in found if one.stage == stage) == pytest.approx(1.0)


def test_examples_are_the_regions_that_chose_it_with_most_certainty(segmenter, images, found):
    for concept in found:
        certainties = []
        for path in images:
            shares = segmenter.group([path])[0].windows[0].patch_assignment(concept.stage)
            certainty, winner = shares.max(dim=0)
            won = winner == concept.group
            if won.float().mean() >= SMALLEST:
                certainties.append(float(certainty[won].mean()))
        expected = sorted(certainties, reverse=True)[:2]
        assert [one.certainty for one in concept.examples] == pytest.approx(expected)


def test_a_region_is_what_the_group_took(segmenter, images, found):
    concept = next(one for one in found if one.examples)
    example = concept.examples[0]
    path = next(path for path in images if path.name == example.name)
    window = segmenter.group([path])[0].windows[0]
    groups = window.group_map(concept.stage, (40, 60)).numpy()
    np.testing.assert_array_equal(example.region, groups == concept.group)


def test_words_are_those_nearest_to_the_mean_of_the_examples(segmenter, found):
    vocabulary = segmenter.embed_words(WORDS)
    for concept in found:
        if concept.examples:
            mean = torch.stack([one.embedding for one in concept.examples]).mean(dim=0)
            cosines = vocabulary @ torch.nn.functional.normalize(mean, dim=0)
            assert all(cosine > 0 for _, cosine in concept.words)
            nearest = WORDS[int(cosines.argmax())] if cosines.max() > 0 else None
            assert next((word for word, _ in concept.words), None) == nearest


def test_no_word_with_a_negative_cosine_is_near():
    vocabulary = torch.tensor([[0.6, 0.8], [-0.6, 0.8], [-1.0, 0.0]])
    nearest = nearest_words(torch.tensor([1.0, 0.0]), ["a", "b", "c"], vocabulary)
    assert nearest == (("a", pytest.approx(0.6)),)
    assert nearest_words(torch.tensor([0.0, -1.0]), ["a", "b"], vocabulary[:2]) == ()


def test_patches_that_speak_tell_what_they_mean(lively_model, images):
    by_patch = Segmenter(lively_model, protocol=replace(OURS, naming="levels"))
    found = concepts(by_patch, images[:1], WORDS, num_examples=1)
    window = by_patch.group(images[:1])[0].windows[0]
    for concept in found:
        for example in concept.examples:
            won = window.patch_assignment(concept.stage).argmax(dim=0) == concept.group
            torch.testing.assert_close(example.embedding, window.naming_embeddings[won].mean(dim=0))


def test_every_window_counts_by_itself(lively_model, images):
    protocol = replace(OURS, window=32, stride=32)
    found = concepts(Segmenter(lively_model, protocol=protocol), images[:2], WORDS)
    assert sum(one.area for one in found if one.stage == 0) == pytest.approx(1.0)
    sizes = {example.image.shape[:2] for one in found for example in one.examples}
    assert all(height < 40 or width < 60 for height, width in sizes)


@pytest.mark.parametrize("check", CHECKS)
def test_the_page_is_as_all_of_ours(found, check):
    check(concepts_page(found, model="mine & <own>", num_images=5))


def test_the_page_has_a_row_for_every_concept(found):
    text = concepts_page(found, model="mine & <own>", num_images=5)
    assert len(Reader(text).all("article")) == len(found)
    assert len(Reader(text).all("img")) == sum(len(one.examples) for one in found)
    assert "<own>" not in text


def test_progress_is_told(segmenter, images):
    told = []
    concepts(segmenter, images[:2], WORDS, on_progress=lambda *done: told.append(done))
    assert told == [(1, 2), (2, 2)]


def test_no_examples_are_refused(segmenter, images):
    with pytest.raises(InputError, match="num_examples is 0; give at least 1"):
        concepts(segmenter, images, WORDS, num_examples=0)
