"""Background layer trained with the model, versus trained afterwards.

    groupvit storybook --out data/storybook --num 100000
    python benchmarks/background.py --models storybook runs/seed-1 runs/seed-2

Every model is trained for some more steps with configs/storybook.toml, with and without the
background layer loss. It is evaluated on scenes with the labels of things, everything else being
background [mIoU, %]: by cosines, by the layer trained with the model, and by the layer that
`learn-background` trains on 500 pairs. An interrupted run resumes; a finished one is only read.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from tables import Table

from groupvit.background.learned_layer import learn_from_captions
from groupvit.data import index, patterns
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluate import evaluate
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.training import recipes
from groupvit.training.config import TrainingConfig
from groupvit.training.trainer import train

RECIPE = Path(__file__).parents[1] / "configs" / "storybook.toml"
FIRST_SEED = 10
MEASURED = {"by cosines": 100, "by training": 100, "by captions afterwards": 100, "all labels": 100}


def settings(start: str, seed: int, weight: float, given: argparse.Namespace) -> TrainingConfig:
    """Settings of some more steps for a model, at a lower learning rate."""
    config = recipes.load(RECIPE).settings
    return replace(
        config,
        model=replace(config.model, background_layer=weight > 0),
        objective=replace(config.objective, background_layer_weight=weight),
        optim=replace(config.optim, lr=3e-4, warmup_steps=20),
        out=str(given.out / f"{'with' if weight else 'without'}-{seed - FIRST_SEED}"),
        start=start,
        seed=seed,
        steps=given.steps,
        ema_decay=0.98,
        evaluate_folder="",
        save_every=given.steps,
    )


def measured(run: str, scenes: int, pairs: str) -> dict[str, float]:
    """Scores of a run with each background, and with all 23 labels and no background."""
    segmenter = Segmenter.load(run)
    own = segmenter.inference
    protocol = replace(OURS, certainty="similarity")
    cosines = Segmenter(segmenter.model, inference=own, protocol=protocol)
    learned = Segmenter(
        learn_from_captions(cosines, index.prepare(patterns.expand([pairs]), None)).model,
        inference=own,
    )
    ways = {"by cosines": cosines, "by captions afterwards": learned}
    if segmenter.certainty == "margin":
        ways["by training"] = segmenter
    things = Scenes(num=scenes, only_things=True)
    found = {name: evaluate(one, things).scores.miou for name, one in ways.items()}
    return found | {"all labels": evaluate(segmenter, Scenes(num=scenes)).scores.miou}


def main() -> None:
    """Train the runs that are not finished yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["storybook"])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--weight", type=float, default=0.1)
    parser.add_argument("--pairs", default="data/storybook/pairs/storybook-000000.tar")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("runs/background"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    conditions = f"{given.steps} steps more, {len(given.models)} models, {given.scenes} scenes"
    table = Table(given.out / "table.md", MEASURED, conditions)
    for weight in (0.0, given.weight):
        rows = []
        for seed, model in enumerate(given.models, FIRST_SEED):
            config = settings(model, seed, weight, given)
            assert train(config) == 0
            rows.append(measured(config.out, given.scenes, given.pairs))
        table.add("with the loss" if weight else "without the loss", rows)


if __name__ == "__main__":
    main()
