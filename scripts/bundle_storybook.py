"""Copy a trained storybook model into the package.

    python scripts/bundle_storybook.py models/storybook

The weights are stored in half precision: the wheel is smaller, and labels do not change visibly.
"""

import sys
from pathlib import Path

from groupvit.weights import catalogue, checkpoint
from groupvit.weights.checkpoint import Origin

BUNDLED = Path(__file__).parents[1] / "src" / "groupvit" / "weights" / "storybook"
SOURCE = "configs/storybook.toml: 100,000 drawn scenes with 300,000 captions, and no mask"


def main(source: str, out: Path = BUNDLED) -> None:
    """Write the model, with its settings of segmentation and its background."""
    loaded = catalogue.load(source)
    checkpoint.save(
        out,
        loaded.model.half(),
        Origin(source=SOURCE),
        inference=loaded.inference,
        background=loaded.background,
        coverage=loaded.coverage,
        overwrite=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:2])
