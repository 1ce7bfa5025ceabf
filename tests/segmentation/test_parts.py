"""Naming by parts: scores of patches, averaged in the groups of a stage."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from groupvit import Background, InputError, Segmenter
from groupvit.model.config import GroupViTConfig, ImageEncoderConfig, StageConfig, TextEncoderConfig
from groupvit.model.features import Embedded
from groupvit.model.groupvit import GroupViT
from groupvit.model.inference import InferenceConfig
from groupvit.segmentation.groups import GroupedWindow, enlarged
from groupvit.segmentation.network import Network
from groupvit.segmentation.protocol import OURS, QUICK
from groupvit.segmentation.refinement import Refinement
from groupvit.segmentation.windows import Box
from tests.lively import LIVELY

LABELS = ["red|crimson", "green", "blue"]
PARTS = InferenceConfig(short_side=32, naming="parts", scale=5.0)


class TwoGrids:
    """Network of colors: tokens of 8 pixels, embedded patches of 16, two stages of groups."""

    config = GroupViTConfig(
        image=ImageEncoderConfig(
            image_size=32,
            patch_size=8,
            dim=8,
            num_heads=1,
            stages=(
                StageConfig(depth=1, num_group_tokens=3, num_groups=3),
                StageConfig(depth=1, num_group_tokens=2, num_groups=2),
                StageConfig(depth=1),
            ),
        ),
        text=TextEncoderConfig(dim=8, num_heads=1, depth=1),
        embedding_dim=4,
        projector_dim=8,
        patch_projector=True,
    )
    device = torch.device("cpu")
    logit_scale = torch.tensor(3.0)
    background_layer = None
    spatial_block = None

    def __init__(self):
        self.sizes = []

    def patch_grid(self, height, width):
        return -(-height // 16), -(-width // 16)

    def embed_patches(self, images):
        return self.embed_image(images).patches

    def embed_image(self, images, *, num_stages=None):
        self.sizes.append(tuple(images.shape[-2:]))
        height, width = images.shape[-2:]
        colors = F.adaptive_avg_pool2d(images, self.patch_grid(height, width))
        patches = F.normalize(F.pad(colors, (0, 0, 0, 0, 0, 1), value=0.1).flatten(2).mT, dim=-1)
        tokens = F.adaptive_avg_pool2d(images, (height // 8, width // 8)).flatten(2)
        first = tokens.softmax(dim=1)  # a group for each color
        second = torch.tensor([[0.9, 0.8, 0.1], [0.1, 0.2, 0.9]]).expand(len(images), 2, 3)
        segments = [F.normalize(torch.ones(len(images), n, 4), dim=-1) for n in (3, 2)]
        return Embedded(
            F.normalize(patches.mean(dim=1), dim=-1),
            tuple(segments if num_stages is None else segments[-num_stages:]),
            patches,
            (first, second),
            (torch.ones(len(images), 3) > 0, torch.ones(len(images), 2) > 0),
        )

    def encode_text(self, tokens):
        generator = torch.Generator().manual_seed(0)
        table = torch.randn(self.config.text.vocabulary_size, 4, generator=generator)
        return table[tokens].mean(dim=1)


@pytest.fixture
def network():
    return TwoGrids()


def expected(segmenter, windows, labels, stage, *, scale):
    """Mean probabilities in parts, patch by patch, by plain loops."""
    [window] = windows
    words = segmenter.embed_words([word for label in labels for word in label.split("|")])
    owners = [i for i, label in enumerate(labels) for _ in label.split("|")]
    grids, tables, start = window.naming_grids, [], 0
    for rows, columns in grids:
        some = window.naming_embeddings[start : start + rows * columns]
        start += rows * columns
        of_words = (scale * some @ words.T).softmax(dim=1)
        scores = torch.zeros(len(some), len(labels))
        for word, owner in enumerate(owners):
            scores[:, owner] += of_words[:, word]
        grid = scores.T.reshape(1, len(labels), rows, columns)
        tables.append(F.interpolate(grid, window.grid, mode="bilinear")[0].flatten(1).T)
    mean = sum(tables) / len(tables)
    chained = window.patch_assignment(stage)
    winners = chained.argmax(dim=0)
    return winners, {
        group: mean[winners == group].mean(dim=0) for group in winners.unique().tolist()
    }


@pytest.mark.parametrize("stage", [0, 1])
@pytest.mark.parametrize("sides", [(), (48, 16)])
def test_a_part_has_the_mean_scores_of_its_patches(network, street, stage, sides):
    assert isinstance(network, Network)
    inference = replace(PARTS, parts_stage=stage, other_sides=sides)
    segmenter = Segmenter(network, inference=inference)
    [grouped] = segmenter.group([street(60, 80)])
    assert grouped.windows[0].grid == (4, 5)
    assert grouped.windows[0].naming_grids == ((2, 3), (3, 4), (1, 2))[: 1 + len(sides)]
    found = segmenter.label(grouped, LABELS)
    winners, means = expected(segmenter, grouped.windows, LABELS, stage, scale=5.0)
    assert len(means) > 1
    for group, scores in means.items():
        torch.testing.assert_close(found.score_map.table[group], scores)
    parts = grouped.windows[0].group_map(stage, (60, 80))
    assert np.array_equal(found.label_map, found.score_map.table.argmax(dim=1)[parts].numpy())
    assert len(winners) == 20


def test_groups_of_the_last_stage_have_scores_of_patches_too(network, street):
    segmenter = Segmenter(network, inference=replace(PARTS, parts_stage=0))
    found = segmenter(street(60, 80), LABELS)
    _, means = expected(segmenter, found.groups.windows, LABELS, 1, scale=5.0)
    for group, scores in means.items():
        torch.testing.assert_close(found.group_scores[0][group], scores)


def test_the_learned_scale_is_taken_where_none_is_set(network, street):
    segmenter = Segmenter(network, inference=replace(PARTS, scale=None))
    found = segmenter(street(60, 80), LABELS)
    _, means = expected(segmenter, found.groups.windows, LABELS, 1, scale=3.0)
    for group, scores in means.items():
        torch.testing.assert_close(found.score_map.table[group], scores)


def test_thresholds_of_cosines_are_compared_with_means(network, street):
    protocol = replace(OURS, certainty="similarity")
    segmenter = Segmenter(network, inference=PARTS, protocol=protocol)
    [grouped] = segmenter.group([street(60, 80)])
    [window] = grouped.windows
    words = segmenter.embed_words(["red", "crimson", "green", "blue"])
    cosines = window.naming_embeddings @ words.T
    cosines = torch.stack([cosines[:, :2].amax(dim=1), cosines[:, 2], cosines[:, 3]], dim=1)
    best = window.part_means(cosines).amax(dim=1)
    found = segmenter.label(grouped, LABELS, background=0.1)
    torch.testing.assert_close(found.score_map.table[:, 0], 1 - torch.sigmoid(3 * (best - 0.1)))


def test_thresholds_of_scores_are_compared_with_means(network, street):
    segmenter = Segmenter(network, inference=PARTS)
    [grouped] = segmenter.group([street(60, 80)])
    plain = segmenter.label(grouped, LABELS).score_map.table
    low, high = plain.amax(dim=1).sort().values.tolist()
    found = segmenter.label(grouped, LABELS, background=(low + high) / 2).score_map.table
    assert (found.argmax(dim=1) == 0).tolist() == (plain.amax(dim=1) == low).tolist()


def test_quick_sees_one_size_and_leaves_borders(network, street):
    inference = replace(PARTS, other_sides=(48,), refinement=True)
    Segmenter(network, inference=inference, protocol="quick").group([street(64, 64)])
    assert network.sizes == [(32, 32)]
    full = Segmenter(network, inference=inference)
    full.group([street(64, 64)])
    assert network.sizes[1:] == [(32, 32), (48, 48)]
    assert full.refinement == Refinement()
    assert Segmenter(network, inference=inference, protocol=QUICK).refinement is None
    off = replace(OURS, refinement=None)
    assert Segmenter(network, inference=inference, protocol=off).refinement is None


def test_windows_are_cut_out_at_other_sizes_too(network, street):
    protocol = replace(OURS, window=16, stride=16)
    segmenter = Segmenter(network, inference=replace(PARTS, other_sides=(64,)), protocol=protocol)
    [grouped] = segmenter.group([street(32, 64)])
    assert [window.naming_grids for window in grouped.windows] == [((1, 1), (2, 2))] * 8
    whole = segmenter.label(grouped, LABELS)
    assert whole.label_map.shape == (32, 64)


def test_images_together_are_as_alone(network, street):
    images = [street(60, 80), street(33, 90, seed=1), street(80, 60, seed=2)]
    segmenter = Segmenter(network, inference=replace(PARTS, other_sides=(48, 16)))
    for together, image in zip(segmenter(images, LABELS), images, strict=True):
        assert np.array_equal(together.label_map, segmenter(image, LABELS).label_map)


@pytest.mark.parametrize("naming", ["segments", "levels"])
def test_other_namings_ignore_other_sizes(network, street, naming):
    inference = replace(PARTS, other_sides=(48,))
    segmenter = Segmenter(network, inference=inference, protocol=replace(OURS, naming=naming))
    found = segmenter(street(60, 80), LABELS)
    assert network.sizes == [(32, 40)]
    assert len(found.score_map.table) == (2 if naming == "segments" else 20)


def test_embeddings_of_patches_are_brought_to_the_tokens(network, street):
    segmenter = Segmenter(network, inference=replace(PARTS, other_sides=(48,)))
    [window] = segmenter.group([street(60, 80)])[0].windows
    own = window.naming_embeddings[:6].T.reshape(1, 4, 2, 3)
    own = F.interpolate(own, (4, 5), mode="bilinear")[0].flatten(1).T
    torch.testing.assert_close(window.patch_embeddings(), own)


def window_of(assignments, grid=(1, 2)):
    return GroupedWindow(
        box=Box(0, 0, 8, 16),
        grid=grid,
        assignments=assignments,
        embedding=torch.zeros(2),
        segments=torch.zeros(3, 2),
        naming="parts",
        naming_embeddings=torch.zeros(2, 2),
        naming_grids=(grid,),
    )


def test_a_group_without_tokens_has_the_mean_by_its_soft_assignment():
    soft = torch.tensor([[0.6, 0.0], [0.0, 0.8], [0.4, 0.2]])
    window = window_of((soft,))
    values = torch.tensor([[1.0], [4.0]])
    torch.testing.assert_close(window.part_means(values), torch.tensor([[1.0], [4.0], [2.0]]))
    none = window_of((torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]),))
    torch.testing.assert_close(none.part_means(values), torch.tensor([[1.0], [4.0], [2.5]]))


def test_a_grid_enlarged_to_itself_is_the_same():
    values = torch.rand(6, 3)
    assert enlarged(values, (2, 3), (2, 3)) is values


def test_a_model_without_projected_patches_is_refused(lively_model):
    with pytest.raises(InputError, match="has no projector for them; take naming 'segments'"):
        Segmenter(lively_model, protocol=replace(OURS, naming="parts"))


def test_a_stage_that_the_model_lacks_is_refused(network, street):
    segmenter = Segmenter(network, inference=replace(PARTS, parts_stage=2))
    with pytest.raises(InputError, match="parts_stage is 2, but this model has 2 stages"):
        segmenter.group([street(40, 40)])


def test_a_model_of_ours_labels_parts(street):
    torch.manual_seed(0)
    model = GroupViT(replace(LIVELY, patch_projector=True)).eval()
    found = Segmenter(model, inference=PARTS)(
        street(40, 60), LABELS, background=Background(threshold=0.3, words=("wall", "floor"))
    )
    assert found.scores.shape == (4, 40, 60)
    assert np.isfinite(found.scores).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"other_sides": (0,), "naming": "parts"}, "give at least 1 pixel"),
        ({"scale": 0.0}, "scale is 0.0"),
        ({"other_sides": (32,)}, "have no effect with naming 'segments'"),
        ({"parts_stage": 0, "naming": "levels"}, "have no effect with naming 'levels'"),
        ({"parts_stage": -2, "naming": "parts"}, "parts_stage is -2"),
    ],
)
def test_inference_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        InferenceConfig(**settings)
