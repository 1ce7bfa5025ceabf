from dataclasses import dataclass, replace

import pytest
import torch

from groupvit import distributed
from groupvit.data.batch import Batch, Masks
from groupvit.distributed import Ranks
from groupvit.model.config import SpatialConfig
from groupvit.model.groupvit import GroupViT
from groupvit.training import batch_norm, optim
from groupvit.training.config import ObjectiveConfig
from groupvit.training.pixels import PixelLoss
from groupvit.training.step import forward_backward, passes_of
from tests.lively import LIVELY, without_noise
from tests.ranks import WORLD_SIZE
from tests.trunks import trunk_model

SIZE, STEPS = 8, 2

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """One way to train."""

    config: ObjectiveConfig = ObjectiveConfig()  # noqa: RUF009 - it is frozen
    chunk: int = 0
    num_prompts: int = 2
    pooling: str = "tokens"
    frozen: tuple[str, ...] = ()
    ours: bool = False
    stem: str = "patches"
    trunk: bool = False
    without_nouns: bool = False
    pixels: PixelLoss | None = None


PAPER = ObjectiveConfig(form="paper", multi_label_weight=0.5)
SIGMOID = ObjectiveConfig(caption="sigmoid")
NOUNS = ObjectiveConfig(
    multi_label_weight=0.0,
    segment_nouns_weight=1.0,
    patch_nouns_weight=0.7,
    partial_label_weight=0.4,
    background_layer_weight=0.3,
    mutual_information_weight=0.2,
    every_stage=True,
)
NOUNS_ALONE = ObjectiveConfig(
    caption_weight=0.0, multi_label_weight=0.0, segment_nouns_weight=1.0, partial_label_weight=0.4
)
PATCHES = ObjectiveConfig(multi_label_weight=0.0, caption_weight=0.5, patch_nouns_weight=1.0)
SPATIAL = SpatialConfig(kind="bottleneck", depth=2, activation="leaky_relu")


def masks(naming, *, scale=1 / 0.07, spatial=None, **changes):
    pixels = PixelLoss(naming=naming, scale=scale, spatial=spatial)
    return Case(pixels=pixels, frozen=("text",), **changes)


CASES = {
    "plain": Case(),
    "plain, the paper's form": Case(PAPER),
    "in pieces": Case(chunk=3),
    "in pieces, the paper's form": Case(PAPER, chunk=3),
    "sigmoid": Case(SIGMOID),
    "without prompts": Case(num_prompts=0),
    "without prompts, in pieces": Case(num_prompts=0, chunk=2),
    "pooled embeddings": Case(pooling="embeddings", chunk=3),
    "nouns and segments": Case(NOUNS, ours=True, stem="convolutions", pooling="embeddings"),
    "nouns and segments, in pieces": Case(NOUNS, ours=True, pooling="embeddings", chunk=3),
    "nouns alone": Case(NOUNS_ALONE, stem="convolutions"),
    "a batch without nouns": Case(NOUNS, ours=True, without_nouns=True),
    "a batch without nouns, in pieces": Case(NOUNS, ours=True, without_nouns=True, chunk=2),
    "nouns alone, without nouns": Case(NOUNS_ALONE, without_nouns=True),
    "nouns alone, without nouns, in pieces": Case(NOUNS_ALONE, without_nouns=True, chunk=2),
    "captions alone": Case(ObjectiveConfig(multi_label_weight=0.0)),
    "frozen texts": Case(frozen=("text",), chunk=3),
    "behind a trunk": Case(PATCHES, trunk=True),
    "masks and segments": masks("segments"),
    "masks and levels": masks("levels", ours=True, stem="convolutions", pooling="embeddings"),
    "masks and levels, in pieces": masks("levels", ours=True, chunk=3, scale=0.0),
    "masks, spatial, in pieces": masks("levels", ours=True, chunk=3, spatial=SPATIAL),
    "masks behind a trunk": masks("parts", trunk=True, spatial=SPATIAL),
    "frozen heads": Case(
        frozen=("image_projector", "text_projector", "log_scale", "multi_label_log_scale"), chunk=3
    ),
}


def build(case):
    """A small model with nothing random in training, the same on every rank."""
    spatial = case.pixels and case.pixels.spatial
    if case.trunk:
        return trunk_model(spatial=spatial).double().train()
    image = replace(
        LIVELY.image,
        drop_path=0.0,
        grouping="soft" if case.ours else "hard",
        pooling=case.pooling,
        stem=case.stem,
    )
    text = replace(LIVELY.text, vocabulary_size=60)
    torch.manual_seed(3)
    ours = dict.fromkeys(("centered", "patch_projector", "background_layer"), case.ours)
    config = replace(LIVELY, image=image, text=text, spatial=spatial, **ours)
    model = without_noise(GroupViT(config).train())
    with torch.no_grad():
        for parameter in model.image_encoder.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(case.frozen))
    return model.double()


def joint_batch(case):
    """Images and texts of all ranks; those of the last half are shorter, and some are repeated."""
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(SIZE, 3, 32, 32, generator=generator).double()
    tokens = torch.randint(1, 50, (SIZE, 1 + case.num_prompts, 9), generator=generator)
    tokens[:, :, 7] = tokens[SIZE // 2 :, :, 4] = 59
    tokens[SIZE // 2 :, :, 5:] = 0
    tokens[0, -1] = tokens[6, -1] = tokens[1, 0]
    nouns = torch.randint(0, 6, (SIZE, 16), generator=generator)
    if case.without_nouns:
        nouns = torch.zeros_like(nouns)
    batch = Batch(
        torch.zeros(SIZE, 3, 32, 32).byte(), tokens, nouns[:, : case.num_prompts], nouns, 0
    )
    if case.pixels:
        # Ranks have other numbers of pixels that count.
        targets = torch.randint(0, 2, (SIZE, 32, 32), generator=generator).byte()
        targets[: SIZE // 2, :20] = 255
        owners = torch.tensor([0, 1, 1]).expand(SIZE, -1)
        batch = batch._replace(masks=Masks(targets, owners, 2))
    return images, batch


def train(case, ranks):
    """Two steps of plain descent on this rank's share of the joint batch."""
    model = build(case)
    batch_norm.synchronize(model, ranks)
    optim.freeze_unused_scales(model, case.config, num_prompts=case.num_prompts)
    passes = passes_of(model, ranks, case.config, chunk=case.chunk, pixels=case.pixels)
    images, batch = joint_batch(case)
    share = SIZE // ranks.world_size
    rows = slice(ranks.rank * share, (ranks.rank + 1) * share)
    mine = batch.rows(torch.arange(SIZE)[rows])
    for _ in range(STEPS):
        model.zero_grad()
        result = forward_backward(
            passes, images[rows], mine, case.config, ranks, autocast=None, pixels=case.pixels
        )
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= 0.05 * parameter.grad
    return {
        "losses": {name: ranks.mean(loss) for name, loss in result.losses.items()},
        "told": [ranks.mean(values) for values in (result.accuracy, *result.group_usage)],
        "gradients": {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None},
        "buffers": dict(model.named_buffers()),
    }


def on_each_rank(_folder):
    with distributed.session("cpu") as ranks:
        return {name: train(case, ranks) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_train_as_one_with_the_joint_batch(both_ranks, name):
    with torch.random.fork_rng(devices=[]):
        joint = train(CASES[name], Ranks())
    assert len(both_ranks) == WORLD_SIZE
    for found in (one[name] for one in both_ranks):
        torch.testing.assert_close(found["losses"], joint["losses"], rtol=1e-6, atol=0)
        torch.testing.assert_close(found["told"], joint["told"])
        torch.testing.assert_close(found["buffers"], joint["buffers"], rtol=1e-5, atol=1e-9)
        assert found["gradients"].keys() == joint["gradients"].keys()
        largest = max((gradient.norm() for gradient in joint["gradients"].values()), default=0.0)
        for parameter, gradient in joint["gradients"].items():
            away = (found["gradients"][parameter] - gradient).norm()
            assert away <= 1e-5 * (gradient.norm() + 1e-3 * largest), parameter


@pytest.mark.parametrize("chunk", [0, 2])
def test_a_batch_without_nouns_reaches_nothing_that_nouns_alone_train(both_ranks, chunk):
    suffix = ", in pieces" if chunk else ""
    for found in both_ranks:
        assert found[f"nouns alone, without nouns{suffix}"]["gradients"] == {}
        assert found[f"nouns alone, without nouns{suffix}"]["losses"]["total"] == 0
        mixed = found[f"a batch without nouns{suffix}"]
        reached = {name.partition(".")[0] for name in mixed["gradients"]}
        assert reached == {"image_encoder", "image_projector", "text_encoder", "text_projector"} | {
            "log_scale"
        }
        assert mixed["losses"].keys() == {"caption", "mutual_information", "total"}


@pytest.mark.parametrize("name", CASES)
def test_all_ranks_hold_the_same_gradient_to_the_bit(both_ranks, name):
    first, second = (one[name]["gradients"] for one in both_ranks)
    assert all(torch.equal(first[key], second[key]) for key in first)
