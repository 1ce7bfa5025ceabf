from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from groupvit.errors import InputError
from groupvit.model.inference import InferenceConfig
from groupvit.probes import parts as parts_module
from groupvit.probes.concepts_page import concepts_page
from groupvit.probes.k_means import Clusters
from groupvit.probes.part_concepts import finds_parts, part_concepts
from groupvit.probes.parts import ClassMasks, find_parts
from groupvit.probes.purity import purities, purity
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from tests.lively import street
from tests.pages import CHECKS, Reader
from tests.trunks import trunk_model

WORDS = ("sky", "grass", "dog", "cat")
PARTS = InferenceConfig(naming="parts")
OPTIONS = {"num_concepts": 3, "num_examples": 2}


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter(trunk_model(), inference=PARTS)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(4):
        Image.fromarray(street(40, 60, seed)).save(folder / f"{seed}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def masks():
    """Left half background, right half class 1, without the first row."""
    mask = np.repeat(np.arange(60) >= 30, 40).reshape(60, 40).T.astype(np.uint8)
    mask[0] = 255
    return ClassMasks(num_classes=3, has_background=True, read=lambda _: mask)


@pytest.fixture(scope="module")
def found(segmenter, images, masks):
    return part_concepts(segmenter, images, WORDS, masks=masks, **OPTIONS)


def test_only_models_behind_a_trunk_find_parts(lively_model):
    assert finds_parts(trunk_model())
    assert not finds_parts(lively_model)


def test_concepts_come_by_stage_and_the_largest_first(found):
    order = [(one.stage, -one.area) for one in found.concepts]
    assert order == sorted(order)
    for stage in range(2):
        some = [one for one in found.concepts if one.stage == stage]
        assert [one.group for one in some] == [0, 1, 2]
        assert sum(one.area for one in some) == pytest.approx(1.0)


def test_examples_are_of_several_images_and_the_nearest_first(found):
    assert any(len(one.examples) == 2 for one in found.concepts)
    for concept in found.concepts:
        assert len({one.name for one in concept.examples}) == len(concept.examples)
        cosines = [one.certainty for one in concept.examples]
        assert cosines == sorted(cosines, reverse=True)
        assert all(one.region.any() for one in concept.examples)


def test_an_example_is_a_part_of_its_image(segmenter, images, found):
    concept = next(one for one in found.concepts if one.examples)
    example = concept.examples[0]
    path = next(path for path in images if path.name == example.name)
    window = segmenter.group([path])[0].windows[0]
    groups = window.group_map(concept.stage, example.region.shape).numpy()
    [group] = np.unique(groups[example.region])
    np.testing.assert_array_equal(example.region, groups == group)
    mean = window.means(window.naming_embeddings, concept.stage)[group]
    expected = torch.nn.functional.normalize(mean, dim=0)
    torch.testing.assert_close(example.embedding, expected)


def test_equal_calls_give_equal_concepts(segmenter, images, found):
    again = part_concepts(segmenter, images, WORDS, **OPTIONS)
    assert [one.words for one in again.concepts] == [one.words for one in found.concepts]
    assert [one.area for one in again.concepts] == [one.area for one in found.concepts]
    assert again.purities == []


def test_one_stage_alone(segmenter, images, found):
    alone = part_concepts(segmenter, images, WORDS, stages=(1,), **OPTIONS)
    expected = [one.area for one in found.concepts if one.stage == 1]
    assert [one.area for one in alone.concepts] == pytest.approx(expected)


def test_parts_have_the_pixels_of_their_classes(segmenter, images, masks):
    found = find_parts(segmenter, images, stages=(0, 1), masks=masks)
    for parts in found.stages.values():
        assert parts.pixels.sum(axis=0).tolist() == [4 * 39 * 30, 4 * 39 * 30, 0]
        assert parts.trunk.shape == (len(parts.areas), 320)
        assert np.bincount(parts.windows, parts.areas).tolist() == pytest.approx([1.0] * 4)


def test_purities_lie_between_chance_and_1(found):
    kinds = [(one.stage, one.counted) for one in found.purities]
    things = "pixels that are not background"
    assert kinds == [(0, "all pixels"), (0, things), (1, "all pixels"), (1, things)]
    for one in found.purities:
        assert one.chance == pytest.approx(0.5 if one.counted == "all pixels" else 1.0)
        assert one.chance <= one.concepts.mean <= 1.0
        assert one.chance <= one.trunk.mean <= 1.0
        assert f"one class everywhere {100 * one.chance:.1f} %" in str(one)


def test_purity_counts_the_most_frequent_class_of_each_cluster():
    pixels = np.array([[6, 2], [1, 3], [0, 8]])
    assert purity(pixels, np.array([0, 1, 1])) == pytest.approx((6 + 11) / 20)
    assert purity(pixels, np.array([0, 0, 0])) == pytest.approx(13 / 20)
    starts = [Clusters(np.array(members), 0.0) for members in ([0, 1, 1], [0, 0, 0])]
    [both] = purities(0, pixels, starts, starts, has_background=False)
    assert both.concepts.mean == pytest.approx((17 + 13) / 40)
    assert both.concepts.deviation == pytest.approx(0.1)
    assert both.chance == pytest.approx(13 / 20)


def test_classes_that_do_not_occur_have_no_purity():
    start = [Clusters(np.array([0]), 0.0)]
    found = purities(0, np.array([[5, 0]]), start, start, has_background=True)
    assert [one.counted for one in found] == ["all pixels"]


def test_windows_are_examples_by_themselves(images):
    protocol = replace(OURS, short_side=64, window=48, stride=48)
    segmenter = Segmenter(trunk_model(), inference=PARTS, protocol=protocol)
    found = part_concepts(segmenter, images[:2], WORDS, **OPTIONS)
    assert sum(one.area for one in found.concepts if one.stage == 0) == pytest.approx(1.0)


@pytest.mark.parametrize("check", CHECKS)
def test_the_page_is_as_all_of_ours(found, check):
    check(_page(found))


def test_the_page_has_a_row_for_every_concept_and_the_purity(found):
    page = Reader(_page(found))
    assert len(page.all("article")) == len(found.concepts)
    assert len(page.all("img")) == sum(len(one.examples) for one in found.concepts)
    assert _page(found).count("one class everywhere") == len(found.purities)
    assert "group tokens in use" not in _page(found)


def _page(found):
    return concepts_page(found.concepts, found.purities, model="m", num_images=4, clustered=True)


def test_mistakes_are_refused(segmenter, images, monkeypatch):
    with pytest.raises(InputError, match="num_concepts is 0; give at least 1"):
        part_concepts(segmenter, images, WORDS, num_concepts=0)
    with pytest.raises(InputError, match="num_examples is 0; give at least 1"):
        part_concepts(segmenter, images, WORDS, num_examples=0)
    with pytest.raises(InputError, match="1,004 images are given; 1,000 are the most"):
        part_concepts(segmenter, images * 251, WORDS)
    by_segments = Segmenter(segmenter.model)
    with pytest.raises(InputError, match="take naming 'parts'"):
        part_concepts(by_segments, images, WORDS)
    monkeypatch.setattr(parts_module, "MAX_WINDOWS", 3)
    with pytest.raises(InputError, match="more than 3 windows; give fewer images"):
        part_concepts(segmenter, images, WORDS)
