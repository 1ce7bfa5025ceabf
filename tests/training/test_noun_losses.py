import math

import pytest
import torch
from torch.nn import functional as F

from groupvit.training.noun_losses import (
    Nouns,
    background,
    background_logits,
    collect,
    logits,
    multiple_instance,
    negative_mutual_information,
    partial_label,
    segment_distillation,
)

APPLE, BOAT, CAR, CAPTION = 11, 12, 13, 99


def alone(x):
    return x


def normalized(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.fixture
def prompts():
    """Three images with two prompts each: apple boat, boat car, car and the raw caption."""
    ids = torch.tensor([[APPLE, BOAT], [BOAT, CAR], [CAR, CAPTION]])
    named_by = torch.tensor([[APPLE, BOAT, 0], [BOAT, CAR, APPLE], [CAR, 0, 0]])
    return normalized(3, 2, 8), ids, named_by


@pytest.fixture
def nouns(prompts):
    return collect(*prompts, gather=alone)


def test_a_noun_of_several_captions_is_one_noun(prompts, nouns):
    embeddings, _, _ = prompts
    assert nouns.embeddings.shape == (3, 8)
    boat = F.normalize(embeddings[0, 1] + embeddings[1, 0], dim=0)
    torch.testing.assert_close(nouns.embeddings[1], boat)


def test_a_noun_is_wanted_wherever_a_caption_names_it(nouns):
    expected = [[True, True, False], [True, True, True], [False, False, True]]
    assert nouns.positive.tolist() == expected
    assert nouns.share == pytest.approx(6 / 9)


def test_raw_captions_and_padding_are_no_nouns(prompts):
    embeddings, ids, named_by = prompts
    assert collect(embeddings, torch.full_like(ids, CAPTION), named_by, gather=alone) is None
    assert collect(embeddings, torch.zeros_like(ids), named_by, gather=alone) is None


def test_two_ranks_see_the_nouns_of_one_joint_batch(prompts, nouns):
    def joint(x):
        return next(
            whole
            for whole in prompts
            if whole.shape[1:] == x.shape[1:] and whole.dtype == x.dtype and (whole[:1] == x).all()
        )

    first = collect(*(x[:1] for x in prompts), gather=joint)
    torch.testing.assert_close(first.embeddings, nouns.embeddings)
    assert torch.equal(first.positive, nouns.positive[:1])
    assert first.share == nouns.share


def test_finding_nouns_equals_a_slow_sum(nouns):
    parts, present = normalized(3, 4, 8, seed=1), torch.rand(3, 4) < 0.7
    present[:, 0] = True
    similarity = logits(parts, nouns, torch.tensor(5.0))
    total, bias = 0.0, math.log(nouns.share / (1 - nouns.share))
    for image in range(3):
        for noun in range(3):
            values = [
                math.exp(5 * parts[image, part] @ nouns.embeddings[noun])
                for part in range(4)
                if present[image, part]
            ]
            z = math.log(sum(values) / len(values)) + bias
            chance = 1 / (1 + math.exp(-z))
            total -= math.log(chance if nouns.positive[image, noun] else 1 - chance)
    result = multiple_instance(similarity, nouns, present=present)
    assert result.item() == pytest.approx(total / nouns.positive.sum().item(), rel=1e-5)


def test_parts_that_say_nothing_predict_how_often_nouns_occur(nouns):
    chance = nouns.share.item()
    entropy = -(chance * math.log(chance) + (1 - chance) * math.log(1 - chance))
    silent = torch.zeros(3, 5, 3)
    assert multiple_instance(silent, nouns).item() == pytest.approx(entropy / chance, rel=1e-5)


def test_an_absent_part_changes_nothing(nouns):
    similarity, present = torch.randn(3, 4, 3), torch.tensor([[True, True, True, False]] * 3)
    other = similarity.clone()
    other[:, 3] += 100
    for loss in (multiple_instance, partial_label):
        torch.testing.assert_close(
            loss(similarity, nouns, present=present), loss(other, nouns, present=present)
        )


def test_naming_is_content_with_any_noun_of_the_caption(nouns):
    similarity, present = torch.zeros(3, 2, 3), torch.ones(3, 2, dtype=torch.bool)
    similarity[0, 0, 0] = similarity[0, 1, 1] = similarity[1, :, 2] = similarity[2, :, 2] = 50
    assert partial_label(similarity, nouns, present=present).item() == pytest.approx(0, abs=1e-5)
    similarity[0, 1] = torch.tensor([0.0, 0.0, 50.0])
    assert partial_label(similarity, nouns, present=present).item() == pytest.approx(
        (50 - math.log(2)) / 6, rel=1e-3
    )


def test_an_image_without_drawn_nouns_counts_nothing_and_keeps_gradients_finite():
    nouns = Nouns(
        normalized(2, 8),
        torch.tensor([[True, False], [False, False]]),
        torch.tensor(0.25),
        torch.tensor(-1.1),
    )
    similarity = torch.randn(2, 3, 2, requires_grad=True)
    present = torch.ones(2, 3, dtype=torch.bool)
    partial_label(similarity, nouns, present=present).backward()
    assert similarity.grad.isfinite().all()
    assert not similarity.grad[1].any()


@pytest.mark.parametrize(("kind", "expected"), [("even", 0), ("same", 0), ("told", -math.log(4))])
def test_groups_that_tell_of_their_tokens_are_rewarded(kind, expected):
    assignment = {
        "even": torch.full((2, 4, 8), 0.25),
        "same": torch.eye(4)[:, :1].expand(2, 4, 8),
        "told": torch.eye(4).repeat(1, 2).expand(2, 4, 8),
    }[kind]
    assert negative_mutual_information(assignment).item() == pytest.approx(expected, abs=1e-5)


def test_tokens_that_are_not_there_tell_nothing():
    assignment, present = torch.eye(4)[None], torch.tensor([[True, True, False, False]])
    assert negative_mutual_information(assignment, present=present).item() == pytest.approx(
        -math.log(2), abs=1e-5
    )


def test_a_certain_assignment_keeps_gradients_finite():
    assignment = torch.eye(4)[None].requires_grad_()
    negative_mutual_information(assignment).backward()
    assert assignment.grad.isfinite().all()


def test_groups_that_paint_what_patches_say_lose_nothing(nouns):
    patches = torch.zeros(3, 4, 3)
    patches[:, :2, 0] = patches[:, 2:, 1] = 100.0
    segments = torch.tensor([[100.0, 0, 0], [0, 100.0, 0]]).expand(3, 2, 3)
    apart = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]]).expand(3, 2, 4)
    assert segment_distillation([apart], [segments], patches, nouns).item() == pytest.approx(
        0, abs=1e-5
    )
    blurred = torch.full((3, 2, 4), 0.5)
    # The third image names neither, so that its patches are of something else and count nothing.
    expected = math.log(2) * 2 / 3
    assert segment_distillation([blurred], [segments], patches, nouns).item() == pytest.approx(
        expected
    )


def test_painting_teaches_the_groups_and_not_the_patches(nouns):
    patches = torch.randn(3, 4, 3, requires_grad=True)
    groups, segments = torch.randn(3, 2, 4, requires_grad=True), torch.randn(3, 2, 3)
    segments.requires_grad_()
    segment_distillation([groups.softmax(dim=1)], [segments], patches, nouns).backward()
    assert patches.grad is None
    assert groups.grad.abs().sum() > 0
    assert segments.grad.abs().sum() > 0


def test_painting_equals_a_loop_over_patches(nouns):
    generator = torch.Generator().manual_seed(2)
    patches = 3 * torch.randn(3, 5, 3, generator=generator)
    segments = torch.randn(3, 2, 3, generator=generator)
    shares = torch.randn(3, 2, 5, generator=generator).softmax(dim=1)
    total = 0.0
    for image, wanted in enumerate(nouns.positive):
        for patch in range(5):
            if not wanted[patches[image, patch].argmax()]:
                continue
            says = patches[image, patch][wanted].softmax(dim=0)
            paint = sum(shares[image, g, patch] * segments[image, g].softmax(0) for g in range(2))
            total -= (says * paint[wanted].log()).sum().item()
    found = segment_distillation([shares], [segments], patches, nouns).item()
    assert found == pytest.approx(total / 15, rel=1e-5)


def test_painting_averages_the_stages_that_have_segments(nouns):
    patches = torch.randn(3, 4, 3)
    first, second = torch.randn(3, 3, 4).softmax(dim=1), torch.randn(3, 2, 3).softmax(dim=1)
    one, two = torch.randn(3, 3, 3), torch.randn(3, 2, 3)
    of_first = segment_distillation([first], [one], patches, nouns)
    of_second = segment_distillation([second @ first], [two], patches, nouns)
    both = segment_distillation([first, second], [one, two], patches, nouns)
    torch.testing.assert_close(both, (of_first + of_second) / 2)
    torch.testing.assert_close(
        segment_distillation([first, second], [two], patches, nouns), of_second
    )


def test_the_background_loss_equals_a_loop_over_parts(nouns):
    generator = torch.Generator().manual_seed(4)
    similarity = 3 * torch.randn(3, 6, 3, generator=generator)
    asked = torch.randn(3, 6, generator=generator)
    present = torch.rand(3, 6, generator=generator) < 0.8
    total = 0.0
    for image, wanted in enumerate(nouns.positive):
        terms = {True: [], False: []}
        for part in range(6):
            if present[image, part]:
                row = similarity[image, part]
                z = float(row[wanted].max() - asked[image, part])
                there = bool(wanted[row.argmax()])
                terms[there].append(math.log1p(math.exp(-z if there else z)))
        total += sum(sum(some) / len(some) for some in terms.values() if some) / 2
    found = background(similarity, asked, nouns, present=present)
    assert found.item() == pytest.approx(total / 3, rel=1e-5)


def test_parts_that_match_no_noun_of_the_caption_are_pushed_behind_and_others_in_front(nouns):
    similarity = torch.zeros(3, 2, 3)
    similarity[2, 0, 0] = 1.0  # the third image names only the third noun
    similarity[2, 1, 2] = 1.0
    asked = torch.zeros(3, 2, requires_grad=True)
    background(similarity, asked, nouns, present=torch.ones(3, 2, dtype=torch.bool)).backward()
    assert asked.grad[2, 0] < 0 < asked.grad[2, 1]  # descent asks for more of the first


def test_images_without_drawn_nouns_have_no_background_to_learn():
    nouns = Nouns(
        normalized(2, 8),
        torch.tensor([[True, False], [False, False]]),
        torch.tensor(0.25),
        torch.tensor(-1.1),
    )
    similarity, asked = torch.randn(2, 3, 2, requires_grad=True), torch.zeros(2, 3)
    present = torch.ones(2, 3, dtype=torch.bool)
    background(similarity, asked, nouns, present=present).backward()
    assert similarity.grad.isfinite().all()
    assert not similarity.grad[1].any()


def test_what_a_word_must_pass_is_a_likeness_to_the_background():
    parts, layer = normalized(2, 3, 8), torch.cat([normalized(8), torch.tensor([0.25])])
    expected = 5 * ((parts * layer[:8]).sum(dim=-1) + 0.25)
    torch.testing.assert_close(background_logits(parts, layer, torch.tensor(5.0)), expected)
