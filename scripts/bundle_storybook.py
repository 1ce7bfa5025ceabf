#!/usr/bin/env python3
"""Puts a trained storybook model into the package: `scripts/bundle_storybook.py RUN`.

The weights are kept in half precision, which moves no label that a person would see and halves the
size of the wheel.
"""

import sys
from pathlib import Path

from groupvit.weights import catalogue, checkpoint
from groupvit.weights.checkpoint import Origin

OUT = Path(__file__).parents[1] / "src" / "groupvit" / "weights" / "storybook"
SOURCE = "configs/storybook.toml: 100,000 drawn scenes with 300,000 captions, and no mask"

model, _ = catalogue.load(sys.argv[1])
checkpoint.save(OUT, model.half(), Origin(source=SOURCE), overwrite=True)
