"""What makes grouping emerge: one table of variants, seed by seed.

    groupvit storybook --out data/storybook --num 20000
    python benchmarks/grouping.py --variants all --seeds 0 1 2 --steps 300

Every variant is the recipe of configs/storybook-quick.toml with some settings changed, trained for
the same number of steps and measured on 200 test scenes, all classes competing: the mIoU where the
last segments take the words, that where patches do at every level, the oracle mIoU of the last
segments [all in %], and how many of them an image uses. A run that is stopped goes on where it
was; one that is done is only read. The table is printed and written as Markdown, with mean and
deviation over the seeds.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tables import Table

from groupvit.config import load_toml
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.evaluate import evaluate
from groupvit.model.config import GroupingConfig, GroupViTConfig, StageConfig
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.training.config import ObjectiveConfig, TrainingConfig
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


def grouping(**changes: object) -> Change:
    """Other grouping blocks."""

    def change(config: TrainingConfig) -> TrainingConfig:
        block = replace(config.model.image.grouping, **changes)  # type: ignore[arg-type]
        return image(grouping=block)(config)

    return change


def objective(**changes: object) -> Change:
    """Other losses; the projector of patches and the background go with theirs."""

    def change(config: TrainingConfig) -> TrainingConfig:
        losses = replace(config.objective, **changes)  # type: ignore[arg-type]
        model = replace(
            config.model,
            patch_projector=losses.patch_nouns_weight > 0,
            background=losses.background_layer_weight > 0,
        )
        return replace(config, objective=losses, model=model)

    return change


def stages(*groups: int, depths: tuple[int, ...]) -> Change:
    """Other stages: how many groups each makes, and blocks of each and of the last."""
    made = [
        StageConfig(depth=depth, num_group_tokens=num, num_groups=num)
        for depth, num in zip(depths[:-1], groups, strict=True)
    ]
    return image(stages=(*made, StageConfig(depth=depths[-1])))


def centered(*, projectors: bool) -> Change:
    """Projectors with or without the last batch norm."""
    return lambda config: replace(config, model=replace(config.model, centered=projectors))


def paper(config: TrainingConfig) -> TrainingConfig:
    """The block, stem and losses of the paper at the size of the recipe."""
    published = {"stem": "patches", "positions": True, "pooling": "tokens"}
    config = image(**published, grouping=GroupingConfig())(config)
    config = stages(48, 24, depths=(2, 1, 1))(config)
    released = GroupViTConfig()
    model = replace(
        config.model,
        centered=released.centered,
        naming=released.naming,
        patch_projector=released.patch_projector,
    )
    return replace(config, model=model, objective=ObjectiveConfig())


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
}
VARIANTS: dict[str, Change] = {
    "ours": both(),
    "ours, patches for the stem": image(stem="patches"),
    "ours, hard assignment": grouping(assignment="hard"),
    "ours, hard assignment without noise": grouping(assignment="hard", noise=False),
    "ours, dot product": grouping(similarity="dot"),
    "ours, cosine": grouping(similarity="cosine"),
    "ours, groups look at tokens": grouping(look=True),
    "ours, residual of the group": grouping(residual=True),
    "ours, group tokens mixed": grouping(mix=True),
    "ours, small group tokens": grouping(token_std=0.02),
    "ours, projectors not centered": centered(projectors=False),
    "ours, no term of grouping": objective(mutual_information_weight=0.0),
    "ours, no nouns on patches": objective(patch_nouns_weight=0.0, segment_distillation_weight=0.0),
    "ours, no nouns on segments": objective(
        segment_nouns_weight=0.0, partial_label_weight=0.0, segment_distillation_weight=0.0
    ),
    "ours, no naming": objective(partial_label_weight=0.0),
    "ours, and a background": objective(background_layer_weight=0.1),
    "ours, no painting": objective(segment_distillation_weight=0.0),
    "ours, multi-label loss for the nouns": objective(multi_label_weight=1.0, **NO_NOUNS),
    "ours, caption alone": objective(**NO_NOUNS),
    "ours, hard, multi-label loss for the nouns": both(
        objective(multi_label_weight=1.0, **NO_NOUNS), grouping(assignment="hard")
    ),
    "ours, hard, caption alone": both(objective(**NO_NOUNS), grouping(assignment="hard")),
    "ours, last stage only": objective(every_stage=False),
    "ours, one block before the first grouping": stages(48, 24, depths=(1, 1, 0)),
    "ours, one stage": stages(24, depths=(0, 0)),
    "ours, 16 and 8 groups": stages(16, 8, depths=(0, 1, 0)),
    "ours, 64 and 8 groups": stages(64, 8, depths=(0, 1, 0)),
    "paper": paper,
    "paper, soft assignment": both(paper, grouping(assignment="soft")),
    "paper, no multi-label loss": both(paper, objective(multi_label_weight=0.0)),
    "paper, soft, no multi-label loss": both(
        paper, grouping(assignment="soft"), objective(multi_label_weight=0.0)
    ),
    "paper, one stage": both(paper, stages(24, depths=(2, 2))),
    "paper, 16 and 8 groups": both(paper, stages(16, 8, depths=(2, 1, 1))),
    "paper, 64 and 8 groups": both(paper, stages(64, 8, depths=(2, 1, 1))),
    "paper, with the term of grouping": both(paper, objective(mutual_information_weight=0.1)),
    "paper, nouns on segments": both(
        paper, objective(multi_label_weight=0.0, segment_nouns_weight=1.0)
    ),
}


def measure(name: str, seed: int, steps: int, out: Path) -> dict[str, float]:
    """Train a variant, unless that is done, and read its scores."""
    config = VARIANTS[name](load_toml(TrainingConfig, RECIPE))
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
        assert train(config) == 0
        scores.write_text(json.dumps(scored(str(folder), config.model.naming)), encoding="utf-8")
    measured: dict[str, float] = json.loads(scores.read_text(encoding="utf-8"))
    return measured


def scored(run: str, naming: str) -> dict[str, float]:
    """The scores of a run on all test scenes."""
    benchmark, found = read_folder(TEST), {}
    for way in dict.fromkeys(("segments", naming)):
        protocol = replace(OURS, naming=way)  # type: ignore[arg-type]
        evaluation = evaluate(Segmenter.load(run, protocol=protocol), benchmark, limit=SCENES)
        found[f"mIoU, {way}"] = evaluation.scores.miou
        found["oracle mIoU"] = evaluation.oracle.miou
        found["groups used"] = evaluation.groups_used[-1]
    return found


def main() -> None:
    """Train what is asked for and print the table."""
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
