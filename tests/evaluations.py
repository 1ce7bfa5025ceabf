"""An evaluation of one image, whose files tests and benchmarks damage."""

import numpy as np

from groupvit.evaluation.evaluation import summed
from groupvit.evaluation.measurement import Measurement
from groupvit.evaluation.per_image import ImageCounts
from groupvit.text.background import Background

COUNTS = ImageCounts(
    index=1,
    name="a.jpg",
    confusion=np.array([[0, 1, 7], [1, 1, 2]]),
    oracles=(np.array([[1, 1, 9]]),),
    groups_used=(3,),
    best_group_iou=((0.5,),),
    boundary=np.array([[0, 1, 2]]),
)
MEASUREMENT = Measurement(
    expansions={},
    weights="a",
    fingerprint="b",
    benchmark="c",
    protocol="ours",
    deviations=(),
    naming="levels",
    clusters=None,
    labels=("dog",),
    background=Background(threshold=0.5),
    certainty="score",
    dtype="float32",
)


def summed_of(counts):
    """The evaluation of one image."""
    return summed([counts], ("background", "dog"), MEASUREMENT, seconds=1.0, num_timed=1)
