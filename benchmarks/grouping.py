"""Which settings make grouping emerge: one table of variants, seed by seed.

    groupvit storybook --out data/storybook --num 20000
    python benchmarks/grouping.py --variants all --seeds 0 1 2 --steps 300

Every variant is the recipe of configs/storybook-quick.toml with some settings changed, trained for
the same number of steps and measured on 200 test scenes, all classes competing: the mIoU with
naming by the last segments, that with naming by all levels, the oracle mIoU of the last segments
[all in %], and the number of groups an image uses. An interrupted run resumes; a finished one is
only read. The table is printed and written as Markdown, with mean and deviation over the seeds.
Grouping blocks that only this table needs are defined here.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from tables import Table
from torch import Tensor
from torch.nn import functional as F

from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.evaluate import evaluate
from groupvit.model.config import GroupViTConfig, ImageEncoderConfig, StageConfig
from groupvit.model.grouping import (
    Grouping,
    GroupingBlock,
    HardGrouping,
    SoftGrouping,
    gumbel_like,
    harden,
)
from groupvit.model.groupvit import GroupViT
from groupvit.model.image_encoder import MakeGrouping, grouping_block
from groupvit.model.inference import InferenceConfig
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.training import recipes
from groupvit.training.config import ObjectiveConfig, TrainingConfig
from groupvit.training.run_folder import RunFolder
from groupvit.training.trainer import train

TEST = "data/storybook/test"
RECIPE = Path(__file__).parents[1] / "configs" / "storybook-quick.toml"
MEASURED = {"mIoU, segments": 100, "mIoU, levels": 100, "oracle mIoU": 100, "groups used": 1}
SCENES = 200
Change = Callable[[TrainingConfig], TrainingConfig]


def image(**changes: object) -> Change:
    """Another image encoder."""

    def change(config: TrainingConfig) -> TrainingConfig:
        encoder = replace(config.model.image, **changes)  # type: ignore[arg-type]
        return replace(config, model=replace(config.model, image=encoder))

    return change


class HardCentered(SoftGrouping):
    """Our block with the hard assignment of the paper."""

    def forward(
        self, tokens: Tensor, group_tokens: Tensor, present: Tensor | None = None
    ) -> Grouping:
        """Segments of the tokens that are present; every token chooses one group."""
        tokens, groups = self.norm_tokens(tokens), self.norm_groups(group_tokens)
        logits = self.logits(groups, tokens, present)
        soft = logits.softmax(dim=1)
        chosen = harden((logits + gumbel_like(logits)).softmax(dim=1) if self.training else soft)
        taken = chosen if present is None else chosen * present[:, None]
        held = taken.sum(dim=-1, keepdim=True)
        segments = self.assign.average(taken, held, tokens)
        segments = segments + self.mlp(self.norm_segments(segments))
        return Grouping(segments, soft, held[..., 0] > 0)


class Cosine(SoftGrouping):
    """Our block without centering."""

    def logits(self, groups: Tensor, tokens: Tensor, _: Tensor | None) -> Tensor:
        """Scaled cosine of groups and tokens."""
        query, key = self.assign.query(groups).float(), self.assign.key(tokens).float()
        with torch.autocast(groups.device.type, enabled=False):
            return self.cosine_scale * F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).mT


class SoftPaper(HardGrouping):
    """The block of the paper with a soft assignment."""

    def choose(self, groups: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The soft assignment, twice."""
        soft, _ = super().choose(groups, tokens)
        return soft, soft


def ours_with(block: type[SoftGrouping]) -> MakeGrouping:
    """Maker of a variant of our block."""

    def make(config: ImageEncoderConfig, _: StageConfig) -> GroupingBlock:
        return block(config.dim, config.mlp_ratio)

    return make


def soft_paper(config: ImageEncoderConfig, stage: StageConfig) -> GroupingBlock:
    """The block of the paper with a soft assignment, for a stage."""
    return SoftPaper(
        config.dim,
        config.num_heads,
        config.mlp_ratio,
        num_group_tokens=stage.num_group_tokens,
        num_groups=stage.num_groups,
    )


def objective(**changes: object) -> Change:
    """Other losses; the projector of patches, the background and naming go with theirs."""

    def change(config: TrainingConfig) -> TrainingConfig:
        losses = replace(config.objective, **changes)  # type: ignore[arg-type]
        naming = config.inference.naming if losses.of_segments else "segments"
        model = replace(
            config.model,
            patch_projector=losses.patch_nouns_weight > 0,
            background_layer=losses.background_layer_weight > 0,
        )
        inference = replace(config.inference, naming=naming)
        return replace(config, objective=losses, model=model, inference=inference)

    return change


def stages(*groups: int, depths: tuple[int, ...]) -> Change:
    """Other stages: how many groups each makes, and blocks of each and of the last."""
    made = [
        StageConfig(depth=depth, num_group_tokens=num, num_groups=num)
        for depth, num in zip(depths[:-1], groups, strict=True)
    ]
    return image(stages=(*made, StageConfig(depth=depths[-1])))


def paper(config: TrainingConfig) -> TrainingConfig:
    """The block, stem and losses of the paper at the size of the recipe."""
    published = {"stem": "patches", "positions": True, "pooling": "tokens"}
    config = image(**published, grouping="hard")(config)
    config = stages(48, 24, depths=(2, 1, 1))(config)
    released = GroupViTConfig()
    model = replace(
        config.model,
        centered=released.centered,
        patch_projector=released.patch_projector,
    )
    inference = replace(config.inference, naming="segments")
    return replace(config, model=model, inference=inference, objective=ObjectiveConfig())


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(config: TrainingConfig) -> TrainingConfig:
        for one in changes:
            config = one(config)
        return config

    return change


NO_NOUNS = {
    "segment_nouns_weight": 0.0,
    "patch_nouns_weight": 0.0,
    "partial_label_weight": 0.0,
    "segment_distillation_weight": 0.0,
    "every_stage": False,
}
VARIANTS: dict[str, Change] = {
    "ours": both(),
    "ours, patches for the stem": image(stem="patches"),
    "ours, hard assignment": both(),
    "ours, cosine": both(),
    "ours, no term of grouping": objective(mutual_information_weight=0.0),
    "ours, no nouns on patches": objective(patch_nouns_weight=0.0, segment_distillation_weight=0.0),
    "ours, no nouns on segments": objective(
        segment_nouns_weight=0.0,
        partial_label_weight=0.0,
        segment_distillation_weight=0.0,
        every_stage=False,
    ),
    "ours, and a background": objective(background_layer_weight=0.1),
    "ours, no segment distillation": objective(segment_distillation_weight=0.0),
    "ours, multi-label loss for the nouns": objective(multi_label_weight=1.0, **NO_NOUNS),
    "ours, caption alone": objective(**NO_NOUNS),
    "ours, hard, multi-label loss for the nouns": objective(multi_label_weight=1.0, **NO_NOUNS),
    "ours, hard, caption alone": objective(**NO_NOUNS),
    "ours, one stage": stages(24, depths=(0, 0)),
    "ours, 16 and 8 groups": stages(16, 8, depths=(0, 1, 0)),
    "ours, 64 and 8 groups": stages(64, 8, depths=(0, 1, 0)),
    "paper": paper,
    "paper, soft assignment": paper,
    "paper, no multi-label loss": both(paper, objective(multi_label_weight=0.0)),
    "paper, soft, no multi-label loss": both(paper, objective(multi_label_weight=0.0)),
    "paper, one stage": both(paper, stages(24, depths=(2, 2))),
    "paper, 16 and 8 groups": both(paper, stages(16, 8, depths=(2, 1, 1))),
    "paper, 64 and 8 groups": both(paper, stages(64, 8, depths=(2, 1, 1))),
}


def make_grouping(variant: str) -> MakeGrouping:
    """Maker of the grouping blocks of a variant."""
    if variant.startswith("ours, hard"):
        return ours_with(HardCentered)
    if variant == "ours, cosine":
        return ours_with(Cosine)
    return soft_paper if variant.startswith("paper, soft") else grouping_block


def measure(name: str, seed: int, steps: int, out: Path) -> dict[str, float]:
    """Train a variant, unless that is done, and read its scores."""
    config = VARIANTS[name](recipes.load(RECIPE).settings)
    folder = out / name.replace(", ", "/").replace(" ", "-") / f"seed-{seed}"
    config = replace(
        config,
        out=str(folder),
        seed=seed,
        steps=steps,
        log_every=100,
        evaluate_folder="",
        save_every=200,
        keep_last=1,
    )
    scores = folder / f"scores-{steps}.json"
    if not scores.exists():
        assert train(config, make_grouping=make_grouping(name)) == 0
        model = GroupViT(config.model, make_grouping=make_grouping(name))
        model.load_state_dict(load_file(RunFolder(folder).latest() / "model.safetensors"))
        measured = scored(model, config.inference, levels=name.startswith("ours"))
        scores.write_text(json.dumps(measured), encoding="utf-8")
    found: dict[str, float] = json.loads(scores.read_text(encoding="utf-8"))
    return found


def scored(model: GroupViT, inference: InferenceConfig, *, levels: bool) -> dict[str, float]:
    """Scores of a model on the test scenes, with naming by all levels too or not."""
    benchmark, found = read_folder(TEST), {}
    for naming in ("segments", "levels") if levels else ("segments",):
        protocol = replace(OURS, naming=naming)
        segmenter = Segmenter(model, inference=inference, protocol=protocol)
        evaluation = evaluate(segmenter, benchmark, limit=SCENES)
        found[f"mIoU, {naming}"] = evaluation.scores.miou
        found["oracle mIoU"] = evaluation.oracle.miou
        found["groups used"] = evaluation.groups_used[-1]
    return found


def main() -> None:
    """Train the selected variants and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="+", default=["ours", "paper"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("runs/grouping"))
    given = parser.parse_args()
    names = list(VARIANTS) if given.variants == ["all"] else given.variants
    given.out.mkdir(parents=True, exist_ok=True)
    table = Table(given.out / "table.md", MEASURED, f"{given.steps} steps, seeds {given.seeds}")
    for name in names:
        table.add(name, [measure(name, seed, given.steps, given.out) for seed in given.seeds])


if __name__ == "__main__":
    main()
