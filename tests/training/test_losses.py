import math

import pytest
import torch
from torch.nn.functional import normalize

from groupvit.training.losses import accuracy, contrastive, multi_label, sigmoid

FORMS = ("code", "paper")
BATCH, PROMPTS, WIDTH = 6, 3, 8
ALONE = {"gather": lambda x: x, "rank": 0}
SCALE = torch.tensor(7.0).double()


@pytest.fixture
def image(draw):
    return normalize(draw(BATCH, WIDTH).double(), dim=-1)


@pytest.fixture
def prompts(draw):
    return normalize(draw(BATCH, PROMPTS, WIDTH, seed=1).double(), dim=-1)


def slow_multi_label(image, prompts, scale, form):
    """The equations, term by term."""
    total_image = total_text = 0.0
    pairs = [(j, k) for j in range(BATCH) for k in range(prompts.shape[1])]
    for i in range(BATCH):
        everything = sum(math.exp(scale * image[i] @ prompts[j, k]) for j, k in pairs)
        shares = [
            math.exp(scale * image[i] @ prompts[i, k]) / everything for k in range(prompts.shape[1])
        ]
        if form == "paper":
            total_image -= math.log(sum(shares)) / BATCH
        else:
            total_image -= sum(math.log(share) for share in shares) / len(pairs)
    for i, k in pairs:
        everything = sum(math.exp(scale * image[j] @ prompts[i, k]) for j in range(BATCH))
        total_text -= math.log(math.exp(scale * image[i] @ prompts[i, k]) / everything) / len(pairs)
    return (total_image + total_text) * (1 if form == "paper" else 0.5)


def slow_sigmoid(image, text, scale, bias):
    total = 0.0
    for i in range(BATCH):
        for j in range(BATCH):
            logit = float(scale * image[i] @ text[j]) + bias
            total += math.log1p(math.exp(-logit if i == j else logit))
    return total / BATCH


def gather_of(rank, *wholes):
    """What gathering would give a rank whose rows are part of these."""

    def gather(x):
        rows = slice(rank * len(x), (rank + 1) * len(x))
        return next(whole for whole in wholes if torch.equal(whole[rows], x))

    return gather


def on_two_ranks(loss, image, text, **given):
    """The mean over two ranks that hold half of the rows each."""
    wholes, half = (image, text.reshape(-1, WIDTH)), BATCH // 2
    parts = [
        loss(image[rows], text[rows], gather=gather_of(rank, *wholes), rank=rank, **given)
        for rank, rows in enumerate((slice(half), slice(half, None)))
    ]
    return torch.stack(parts).mean()


@pytest.mark.parametrize("form", FORMS)
def test_the_multi_label_loss_is_its_equation(image, prompts, form):
    loss = multi_label(image, prompts, SCALE, form=form, **ALONE)
    assert loss.item() == pytest.approx(slow_multi_label(image, prompts, SCALE, form), rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_the_contrastive_loss_is_its_equation(image, prompts, form):
    loss = contrastive(image, prompts[:, 0], SCALE, form=form, **ALONE)
    expected = slow_multi_label(image, prompts[:, :1], SCALE, form)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_the_contrastive_loss_is_the_cross_entropy_of_both_directions(image, prompts):
    logits, own = SCALE * image @ prompts[:, 0].T, torch.arange(BATCH)
    both = torch.nn.functional.cross_entropy(logits, own)
    both = both + torch.nn.functional.cross_entropy(logits.T, own)
    torch.testing.assert_close(contrastive(image, prompts[:, 0], SCALE, **ALONE), both / 2)
    paper = contrastive(image, prompts[:, 0], SCALE, form="paper", **ALONE)
    torch.testing.assert_close(paper, both)


def test_the_sigmoid_loss_is_its_equation(image, prompts):
    loss = sigmoid(image, prompts[:, 0], SCALE, -2.0, **ALONE)
    assert loss.item() == pytest.approx(slow_sigmoid(image, prompts[:, 0], SCALE, -2.0), rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_the_order_of_pairs_and_of_prompts_is_no_matter(image, prompts, form):
    pairs, order = torch.tensor([3, 1, 5, 0, 2, 4]), torch.tensor([2, 0, 1])
    loss = multi_label(image, prompts, SCALE, form=form, **ALONE)
    moved = multi_label(image[pairs], prompts[pairs][:, order], SCALE, form=form, **ALONE)
    torch.testing.assert_close(moved, loss)


@pytest.mark.parametrize("form", FORMS)
def test_two_ranks_averaged_are_one_joint_batch(image, prompts, form):
    scale = {"scale": SCALE}
    joint = multi_label(image, prompts, SCALE, form=form, **ALONE)
    torch.testing.assert_close(on_two_ranks(multi_label, image, prompts, form=form, **scale), joint)
    captions = prompts[:, 1]
    joint = contrastive(image, captions, SCALE, form=form, **ALONE)
    torch.testing.assert_close(
        on_two_ranks(contrastive, image, captions, form=form, **scale), joint
    )


def test_two_ranks_tell_pairs_apart_like_one(image, prompts):
    joint = sigmoid(image, prompts[:, 0], SCALE, -1.5, **ALONE)
    both = on_two_ranks(sigmoid, image, prompts[:, 0], scale=SCALE, bias=-1.5)
    torch.testing.assert_close(both, joint)


@pytest.mark.parametrize("form", FORMS)
def test_embeddings_that_are_all_alike_cost_the_logarithm_of_the_choice(form):
    image, prompts = torch.ones(4, 1), torch.ones(4, 2, 1)
    code = (math.log(8) + math.log(4)) / 2
    paper = math.log(4) + math.log(4)  # any of the two prompts will do
    loss = multi_label(image, prompts, torch.tensor(9.0), form=form, **ALONE)
    assert loss.item() == pytest.approx(code if form == "code" else paper)


def test_a_sigmoid_that_knows_only_the_prior_costs_its_entropy():
    image = torch.zeros(1000, 2)
    loss = sigmoid(image, image, torch.tensor(9.0), -math.log(1000), **ALONE)
    assert loss.item() == pytest.approx(math.log(1001) + 999 * math.log(1001 / 1000))


def test_only_the_paper_is_content_with_one_prompt_found():
    image, prompts = torch.eye(2), torch.eye(2)[:, None].repeat(1, 2, 1)
    missed = prompts.clone()
    missed[:, 1] = 0
    scale = torch.tensor(50.0)
    code = multi_label(image, missed, scale, form="code", **ALONE)
    alike = multi_label(image, prompts, scale, form="code", **ALONE)
    assert code > alike + 5
    paper = multi_label(image, missed[:, :1], scale, form="paper", **ALONE)
    assert paper.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", [contrastive, sigmoid])
def test_gradients_reach_both_sides_and_the_scale(image, prompts, loss):
    given = [image.requires_grad_(), prompts[:, 0].clone().requires_grad_()]
    scale = SCALE.clone().requires_grad_()
    bias = {"bias": -1.0} if loss is sigmoid else {}
    loss(*given, scale, **bias, **ALONE).backward()
    assert all(x.grad.abs().sum() > 0 for x in (*given, scale))


def test_losses_are_exact_under_autocast(draw):
    image, text = (normalize(draw(5, 16, seed=seed), dim=-1) for seed in (2, 3))
    scale = torch.tensor(80.0)
    exact = contrastive(image, text, scale, **ALONE), sigmoid(image, text, scale, -1.0, **ALONE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(contrastive(image, text, scale, **ALONE), exact[0])
        assert torch.equal(sigmoid(image, text, scale, -1.0, **ALONE), exact[1])
        assert accuracy(image, image, **ALONE) == 1


def test_accuracy_counts_captions_that_are_nearest(image):
    swapped = image[[0, 1, 2, 4, 3, 5]]
    assert accuracy(image, image, **ALONE) == 1
    assert accuracy(image, swapped, **ALONE).item() == pytest.approx(4 / 6)
    assert accuracy(torch.ones(4, 1), torch.ones(4, 1), **ALONE) == 0.25
    assert on_two_ranks(accuracy, image, swapped).item() == pytest.approx(4 / 6)
