import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from groupvit.segmentation.groups import GroupedImage, GroupedWindow
from groupvit.segmentation.score_map import ScoreMap, assemble
from groupvit.segmentation.windows import Box, boxes


def image(height, width, windows, enlarged=1):
    pixels = np.zeros((height * enlarged, width * enlarged, 3), dtype=np.uint8)
    return GroupedImage(image=pixels, working_size=(height, width), windows=windows)


sides = st.integers(1, 24)


def near_ties(scores):
    if len(scores) == 1:
        return torch.zeros(scores.shape[1:], dtype=torch.bool)
    best = scores.topk(2, dim=0).values
    return best[0] - best[1] < 1e-6


@given(sides, sides, sides, sides, st.integers(1, 6), st.integers(0, 99))
def test_the_best_labels_are_those_of_the_dense_scores(height, width, new_h, new_w, labels, seed):
    generator = torch.Generator().manual_seed(seed)
    regions = torch.randint(0, 5, (height, width), generator=generator)
    table = torch.rand(5, labels, generator=generator)
    scores = ScoreMap(regions=regions, table=table, size=(new_h, new_w))
    dense = scores.dense()
    assert dense.shape == (labels, new_h, new_w)
    assert ((scores.best() == dense.argmax(dim=0)) | near_ties(dense)).all()


@pytest.mark.parametrize("spread", [0.0, 1e-9, 2e-8, 6e-8, 1e-7, 1e-6, 1e-4, 1.0])
@pytest.mark.parametrize("size", [(180, 240), (120, 160), (137, 191), (300, 333)])
def test_the_final_softmax_is_that_of_the_dense_scores_ties_included(spread, size):
    generator = torch.Generator().manual_seed(0)
    regions = torch.randint(0, 9, (180, 240), generator=generator)
    table = torch.rand(9, 1, generator=generator) / 2
    table = table + spread * torch.rand(9, 6, generator=generator)
    dense = table[regions].permute(2, 0, 1)[None].contiguous()
    expected = F.interpolate(dense, size, mode="bilinear")[0].softmax(dim=0)
    best = ScoreMap(regions=regions, table=table, size=size).best(final_softmax=True)
    equal = best == expected.argmax(dim=0)
    # Processors may round a product otherwise, which decides some ties.
    assert (equal | near_ties(expected)).all()
    assert equal.float().mean() > 0.999


def test_scores_that_a_softmax_makes_equal_give_the_first_label():
    table = torch.tensor([[0.25, 0.25 + 2**-25], [0.0, 1e-9], [0.25, 0.5], [0.5, 0.25]])
    scores = ScoreMap(regions=torch.tensor([[0, 1, 2, 3]]), table=table, size=(1, 4))
    assert scores.best().tolist() == [[1, 1, 1, 0]]
    assert scores.best(final_softmax=True).tolist() == [[0, 0, 1, 0]]
    whole = ScoreMap(regions=torch.tensor([[0, 1]]), table=table, size=(3, 6))
    assert whole.best(final_softmax=True).tolist() == [[0] * 6] * 3


def test_the_dense_scores_are_resized_as_torch_does():
    regions = torch.tensor([[0, 1], [1, 0]])
    table = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    expected = F.interpolate(torch.eye(2)[None, None], (5, 7), mode="bilinear")[0, 0]
    assert torch.allclose(ScoreMap(regions=regions, table=table, size=(5, 7)).dense()[0], expected)


@pytest.mark.parametrize("resized", ["groups", "scores"])
def test_overlapping_windows_average_their_scores(resized):
    generator = torch.Generator().manual_seed(0)
    windows, tables, total = [], [], torch.zeros(3, 16, 40)
    count = torch.zeros(16, 40)
    for box in boxes(16, 40, window=16, stride=8):
        window = GroupedWindow(
            box=box,
            grid=(2, 2),
            assignments=(torch.rand(4, 4, generator=generator).softmax(dim=0),),
            embedding=torch.zeros(2),
            segments=torch.zeros(4, 2),
            naming="segments",
            naming_embeddings=torch.zeros(4, 2),
        )
        table = torch.rand(4, 3, generator=generator)
        groups = window.group_map(0, (box.height, box.width))
        total[:, *box.slices] += table[groups].permute(2, 0, 1)
        count[box.slices] += 1
        windows.append(window)
        tables.append(table)
    scores = assemble(image(16, 40, windows), tables, resized=resized)
    assert torch.allclose(scores.dense(), total / count, atol=1e-6)


def test_one_window_has_one_region_for_each_group():
    window = GroupedWindow(
        box=Box(0, 0, 8, 8),
        grid=(2, 2),
        assignments=(torch.eye(4),),
        embedding=torch.zeros(2),
        segments=torch.zeros(4, 2),
        naming="segments",
        naming_embeddings=torch.zeros(4, 2),
    )
    table = torch.rand(4, 3, generator=torch.Generator().manual_seed(1))
    scores = assemble(image(8, 8, [window]), [table], resized="scores")
    assert torch.equal(scores.table[scores.regions[0, 0]], table[0])
    assert torch.equal(scores.table[scores.regions[-1, -1]], table[3])


def test_a_pixel_between_two_groups_never_takes_the_label_of_a_third():
    window = GroupedWindow(
        box=Box(0, 0, 8, 16),
        grid=(1, 2),
        assignments=(torch.eye(2),),
        embedding=torch.zeros(2),
        segments=torch.zeros(2, 2),
        naming="segments",
        naming_embeddings=torch.zeros(2, 2),
    )
    table = torch.tensor([[0.55, 0.0, 0.45], [0.0, 0.55, 0.45]])  # the third is second to both
    between = image(8, 16, [window], enlarged=5)
    labels = assemble(between, [table], resized="groups").best()
    assert labels.unique().tolist() == [0, 1]
    assert 2 in assemble(between, [table], resized="scores").best()


def by_patch(box, grid):
    """A window whose patches take the words."""
    num_patches = grid[0] * grid[1]
    return GroupedWindow(
        box=box,
        grid=grid,
        assignments=(torch.ones(1, num_patches),),
        embedding=torch.zeros(2),
        segments=torch.zeros(1, 2),
        naming="levels",
        naming_embeddings=torch.zeros(num_patches, 2),
    )


@pytest.mark.parametrize("resized", ["groups", "scores"])
def test_scores_of_patches_are_enlarged_bilinearly(resized):
    table = torch.rand(6, 3, generator=torch.Generator().manual_seed(1))
    window = by_patch(Box(0, 0, 16, 24), (2, 3))
    scores = assemble(image(16, 24, [window], enlarged=2), [table], resized=resized)
    expected = F.interpolate(table.T.reshape(1, 3, 2, 3), (32, 48), mode="bilinear")[0]
    assert torch.allclose(scores.dense(), expected, atol=1e-6)
    assert torch.equal(scores.best(), expected.argmax(dim=0))


def test_overlapping_windows_average_the_scores_of_their_patches():
    windows = [by_patch(box, (2, 2)) for box in boxes(16, 32, window=16, stride=8)]
    tables = [torch.full((4, 2), float(index)) for index in range(3)]
    dense = assemble(image(16, 32, windows), tables, resized="groups").dense()
    columns = torch.tensor([0, 0.5, 1.5, 2]).repeat_interleave(8)
    assert torch.allclose(dense, columns.expand(2, 16, 32), atol=1e-6)


def test_every_pixel_belongs_to_the_patch_that_covers_it():
    parts = by_patch(Box(0, 0, 16, 24), (2, 3)).naming_map((16, 24))
    assert parts[:8, :8].unique().tolist() == [0]
    assert parts[8:, 16:].unique().tolist() == [5]
