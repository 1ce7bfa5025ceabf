import math

import pytest
import torch
from torch.nn import functional as F

from groupvit.data.batch import Masks
from groupvit.distributed import Ranks
from groupvit.model.config import SpatialConfig
from groupvit.model.features import Embedded
from groupvit.model.groupvit import EmbeddedPairs
from groupvit.model.spatial import regularized
from groupvit.segmentation.labels import parse
from groupvit.segmentation.scoring import sum_over_synonyms
from groupvit.training.pixels import PixelLoss, sum_over_words

SIDE, SIZE, DIM = 3, 7, 6
OWNERS = [[0, 0, 1, 2, 3], [1, 0, 2, 3, 3]]
"""Labels of five words; 3 is padding."""


@pytest.fixture
def pairs(draw):
    def unit(*shape, seed):
        return F.normalize(draw(*shape, seed=seed), dim=-1)

    groups = draw(2, 4, SIDE**2, seed=3).softmax(dim=1), draw(2, 2, 4, seed=4).softmax(dim=1)
    image = Embedded(
        unit(2, DIM, seed=5),
        (unit(2, 4, DIM, seed=6), unit(2, 2, DIM, seed=7)),
        unit(2, SIDE**2, DIM, seed=8),
        groups,
        (torch.ones(2, 4, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool)),
    )
    scale = torch.tensor(5.0)
    weight = draw(10, seed=9) / 4
    return EmbeddedPairs(image, unit(2, 5, DIM, seed=10), scale, scale, None, weight)


@pytest.fixture
def masks():
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(0, 3, (2, SIZE, SIZE), generator=generator).byte()
    targets[0, :3] = 255
    return Masks(targets, torch.tensor(OWNERS), 3)


def embedding(image, index, patch, naming):
    """Embeddings that inference compares with words, one patch after the other."""
    own = image.patches[index, patch]
    if naming == "parts":
        return own
    first, second = (one[index] for one in image.assignments)
    of_first = [first[group, patch] for group in range(4)]
    of_second = [
        sum(second[last, group] * of_first[group] for group in range(4)) for last in range(2)
    ]
    last = sum(of_second[group] * image.segments[1][index, group] for group in range(2))
    if naming == "segments":
        return last
    middle = sum(of_first[group] * image.segments[0][index, group] for group in range(4))
    return (own + middle + last) / 3


def slow(pairs, masks, naming, scale, spatial):
    """The loss and the accuracy, one pixel after the other."""
    losses, right = [], []
    for index in range(2):
        logits = torch.empty(3, SIDE, SIDE)
        for patch in range(SIDE**2):
            x = embedding(pairs.image, index, patch, naming)
            for label in range(3):
                words = [w for w, owner in enumerate(OWNERS[index]) if owner == label]
                total = sum(math.exp(scale * float(x @ pairs.text[index, w])) for w in words)
                logits[label, patch // SIDE, patch % SIDE] = math.log(total)
        if spatial:
            logits = scale * regularized(logits[None] / scale, pairs.spatial, spatial)[0]
        large = F.interpolate(logits[None], (SIZE, SIZE), mode="bilinear")[0]
        for row in range(SIZE):
            for column in range(SIZE):
                label = int(masks.targets[index, row, column])
                if label != 255:
                    values = large[:, row, column].tolist()
                    losses.append(math.log(sum(map(math.exp, values))) - values[label])
                    right.append(values[label] == max(values))
    return sum(losses) / len(losses), sum(right) / len(right)


@pytest.mark.parametrize("naming", ["segments", "levels", "parts"])
@pytest.mark.parametrize("spatial", [None, SpatialConfig(kind="bottleneck", depth=2)])
def test_the_loss_equals_a_slow_reference(pairs, masks, naming, spatial):
    for scale in (1 / 0.07, 0.0):
        loss = PixelLoss(naming=naming, scale=scale, spatial=spatial)
        found = loss(pairs, masks, Ranks())
        total, accuracy = slow(pairs, masks, naming, scale or 5.0, spatial)
        assert found.total.item() == pytest.approx(total, rel=1e-4)
        assert found.parts["pixels"].item() == found.total.item()
        assert found.accuracy.item() == pytest.approx(accuracy, abs=1e-6)


def test_only_the_image_learns_and_the_scale_if_it_is_not_fixed(pairs, masks):
    for scale in (10.0, 0.0):
        leaves = pairs._replace(
            text=pairs.text.clone().requires_grad_(),
            logit_scale=pairs.logit_scale.clone().requires_grad_(),
            image=pairs.image._replace(patches=pairs.image.patches.clone().requires_grad_()),
        )
        PixelLoss(naming="parts", scale=scale, spatial=None)(
            leaves, masks, Ranks()
        ).total.backward()
        assert leaves.text.grad is None
        assert (leaves.logit_scale.grad is None) == (scale > 0)
        assert leaves.image.patches.grad.any()


def test_images_without_pixels_that_count_teach_nothing(pairs, masks):
    masks = masks._replace(targets=torch.full_like(masks.targets, 255))
    found = PixelLoss(naming="parts", scale=10.0, spatial=None)(pairs, masks, Ranks())
    assert found.total.item() == 0
    assert found.accuracy.item() == 0


def test_the_order_of_labels_changes_nothing(pairs, masks):
    """Labels permuted, and one more that is far from everything."""
    loss = PixelLoss(naming="parts", scale=20.0, spatial=SpatialConfig())
    order = torch.tensor([2, 0, 1, 3])  # new number of each label, and of padding
    before = loss(pairs, masks, Ranks()).total
    targets = torch.where(masks.targets == 255, 255, order[masks.targets.long() % 4]).byte()
    permuted = Masks(targets, order[masks.owners], 3)
    torch.testing.assert_close(loss(pairs, permuted, Ranks()).total, before)
    shuffled = torch.tensor([4, 2, 0, 3, 1])
    other = pairs._replace(text=pairs.text[:, shuffled])
    words = masks._replace(owners=masks.owners[:, shuffled])
    torch.testing.assert_close(loss(other, words, Ranks()).total, before)


def test_words_of_a_label_add_up_as_in_segmentation(draw):
    labels = parse(["car|taxi|cab", "dog", "sky|clouds"])
    similar = 60 * draw(4, len(labels.words))
    owners = torch.tensor([labels.owners])
    found = sum_over_words(similar.mT[None], owners, 3)
    torch.testing.assert_close(found[0].mT, sum_over_synonyms(similar, labels))


def test_descent_brings_patches_to_the_words_of_their_labels(pairs):
    targets = torch.arange(SIDE**2).reshape(1, SIDE, SIDE) % 3
    masks = Masks(targets.expand(2, -1, -1).byte(), torch.tensor(OWNERS), 3)
    loss = PixelLoss(naming="parts", scale=10.0, spatial=None)
    patches = pairs.image.patches.clone().requires_grad_()
    for _ in range(100):
        patches.grad = None
        image = pairs.image._replace(patches=F.normalize(patches, dim=-1))
        found = loss(pairs._replace(image=image), masks, Ranks())
        found.total.backward()
        with torch.no_grad():
            patches -= 0.3 * patches.grad
    assert found.accuracy.item() == 1
    assert found.total.item() < 0.1
