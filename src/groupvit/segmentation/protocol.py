"""Evaluation protocols: named settings of resizing, windows, prompts and scoring."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from types import MappingProxyType
from typing import Literal

from groupvit.errors import InputError, suggestion
from groupvit.model.config import GroupViTConfig
from groupvit.model.inference import InferenceConfig, Naming
from groupvit.segmentation.refinement import Refinement
from groupvit.text.background import Certainty
from groupvit.text.templates import FULL, SIMPLE, SUBSET

THRESHOLDS: Mapping[Certainty, float] = MappingProxyType(
    {"score": 0.5, "similarity": 0.2, "margin": 0.0}
)
"""Default background threshold of each kind."""
FromModel = Literal["model"]
"""Value of a setting that the inference settings of the model decide; see `Protocol.for_model`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSettings:
    """Settings of a protocol for one benchmark."""

    threshold: float | None = None
    """Score below which pixels are background, [0, 1]; None: that of the protocol."""
    background_words: tuple[str, ...] = ()
    """Words that compete with the classes and become background."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Labels used for some classes instead of their names, such as `car|taxi`."""
    short_side: int | None = None
    """Length that the shorter side is resized to [pixels]; None: that of the protocol."""


NO_SETTINGS = BenchmarkSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """Settings of resizing, windows, prompts and scoring."""

    name: str
    """Name in reports."""
    short_side: int | None = 448
    """Length that the shorter side is resized to [pixels]; None: that of the model, or twice its
    training size."""
    long_side: int = 2048
    """Longest that the longer side may be [pixels]."""
    antialias: bool
    """Antialiased resizing; the original's is not."""
    border: Literal["fit", "cut"]
    """For sides that are no multiple of the patch size: resize to one, or cut the rest off."""
    window: int | None = None
    """Side of the sliding windows [pixels]; None: one window, the whole image."""
    stride: int = 224
    """Step between windows [pixels]."""
    templates: tuple[str, ...] = SIMPLE
    """Prompt templates; the embeddings of a word's prompts are averaged."""
    top_labels: int | None = None
    """Number of labels that may be used in a window, those that fit the whole of it best; None:
    all."""
    resized: Literal["groups", "scores"]
    """Resize the groups to the image, so that every pixel has the label of its group; or the scores
    of the pixels that the network saw, as published."""
    naming: Naming | None = None
    """Embeddings that are compared with labels: of segments, of patches at all levels, or of
    patches whose scores are averaged in parts; None: as the model is set."""
    synonyms: Literal["max", "sum"] = "max"
    """Logit of a label: the highest of its words, as published; or the logarithm of the sum of
    their exponentials, so that in the softmax the probabilities of its words add. Then all words of
    the background are one label too."""
    lexicon: bool = False
    """Labels given without synonyms get those words of the lexicon that the model knows; see
    `groupvit.segmentation.expansion`. Published protocols take labels as they are."""
    scale: float | FromModel | None = None
    """Inverse temperature of the softmax over words; None: the learned logit scale."""
    other_sides: tuple[int, ...] | FromModel = ()
    """Lengths of the shorter side at which patches are scored once more [pixels]; for naming by
    parts. The groups are found at `short_side`."""
    refinement: Refinement | FromModel | None = None
    """Refinement of borders; None: none."""
    certainty: Certainty | None = None
    """Value that a background threshold is compared with; None: what the model was trained for."""
    threshold: float | None = None
    """Background threshold on benchmarks with a background; None: the calibrated one of the model,
    or else 0.5 for scores, 0.2 for cosines, 0 for margins."""
    keep_best_group: bool = True
    """Never make the group with the highest score of a window background, as in the original; only
    for thresholds of scores."""
    benchmarks: Mapping[str, BenchmarkSettings] = field(default_factory=dict)
    """Settings for single benchmarks, by their keys."""
    scoring: Literal["softmax", "product"]
    """Softmax over the labels kept, or that times the softmax over all labels (the original)."""
    final_softmax: bool = False
    """Compare the labels of a pixel after another softmax over its averaged scores, as the original
    does: in float32, scores closer than about 6e-8 tie there, and the first label wins."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("short_side", "long_side", "window", "stride", "top_labels"):
            value = getattr(self, name)
            if value is not None and not _is_count(value):
                raise InputError(f"{name} is {value!r}; give an integer, at least 1")
        if self.window is not None and self.stride > self.window:
            raise InputError(
                f"stride {self.stride} is larger than window {self.window}; "
                "pixels between the windows would be lost"
            )
        if isinstance(self.scale, (int, float)) and not 0 < self.scale < math.inf:
            raise InputError(f"scale is {self.scale!r}; give a number above 0")
        if isinstance(self.other_sides, tuple) and self.other_sides:
            self._check_other_sides(self.other_sides)

    def _check_other_sides(self, sides: tuple[int, ...]) -> None:
        if not all(map(_is_count, sides)):
            raise InputError(f"other_sides is {sides!r}; give integers, at least 1")
        if self.naming not in (None, "parts") or self.border != "fit":
            raise InputError(
                "other_sides are for naming 'parts' and border 'fit'; leave them out or take the "
                "protocol 'ours'"
            )

    def settings_for(self, benchmark: str) -> BenchmarkSettings:
        """Settings for the benchmark of this key."""
        found = self.benchmarks.get(benchmark, NO_SETTINGS)
        return found if found.threshold is not None else replace(found, threshold=self.threshold)

    def certainty_of(self, model: GroupViTConfig) -> Certainty:
        """Value that a background threshold is compared with, for this model.

        That is the margin where a background was learned, or the cosine where embeddings are
        centered.
        """
        if self.certainty is not None:
            return self.certainty
        return "margin" if model.background_layer else "similarity" if model.centered else "score"

    def for_model(self, inference: InferenceConfig) -> "Protocol":
        """The protocol with the settings of the model where it leaves them open.

        Raises:
            InputError: The protocol sets other sides, and the model another naming than by parts.
        """
        naming = self.naming or inference.naming
        sides, refinement = self.other_sides, self.refinement
        if sides == "model":
            sides = inference.other_sides if naming == "parts" else ()
        if refinement == "model":
            refinement = (
                Refinement(resolution=inference.refinement_resolution)
                if inference.refinement
                else None
            )
        return replace(
            self,
            short_side=self.short_side or inference.short_side,
            naming=naming,
            scale=inference.scale if self.scale == "model" else self.scale,
            other_sides=sides,
            refinement=refinement,
        )

    def resized_for(self, benchmark: str) -> "Protocol":
        """This protocol with the image size for the benchmark of this key."""
        short_side = self.benchmarks.get(benchmark, NO_SETTINGS).short_side
        return self if short_side is None else replace(self, short_side=short_side)


def _is_count(value: object) -> bool:
    return isinstance(value, Integral) and int(value) >= 1


GROUPVIT = Protocol(
    name="groupvit",
    certainty="score",
    antialias=False,
    border="cut",
    window=448,
    top_labels=5,
    resized="scores",
    naming="segments",
    scoring="product",
    final_softmax=True,
    threshold=0.95,
    benchmarks=MappingProxyType(
        {
            "voc": BenchmarkSettings(
                words={"diningtable": "table", "pottedplant": "plant", "tvmonitor": "monitor"}
            ),
            "context": BenchmarkSettings(
                threshold=0.35,
                words={"aeroplane": "airplane", "pottedplant": "plant", "tvmonitor": "monitor"},
            ),
        }
    ),
)
"""The published pipeline: sliding windows of 448 pixels, the five likeliest labels in each."""

TCL = Protocol(
    name="tcl",
    certainty="score",
    antialias=False,
    border="cut",
    window=448,
    templates=(*SUBSET, "a photo of many {}.", "a photo of {}s."),
    resized="scores",
    naming="segments",
    scoring="softmax",
    threshold=0.5,
    keep_best_group=False,
)
"""Unified protocol of Cha et al. 2023 (TCL): unchanged class names, one threshold for all."""

_BACKGROUND_WORDS = (
    *("sky", "wall", "tree", "wood", "grass", "road", "sea", "river", "mountain", "sands", "desk"),
    *("bed", "building", "cloud", "lamp", "door", "window", "wardrobe", "ceiling", "shelf"),
    *("curtain", "stair", "floor", "hill", "rail", "fence"),
)
_PERSON = (
    "person|person in shirt|person in jeans|person in dress|person in sweater|person in skirt"
    "|person in jacket"
)
SCLIP = Protocol(
    name="sclip",
    certainty="score",
    short_side=336,
    antialias=False,
    border="cut",
    window=224,
    stride=112,
    templates=FULL,
    resized="scores",
    naming="segments",
    scoring="softmax",
    threshold=0.1,
    keep_best_group=False,
    benchmarks=MappingProxyType(
        {
            "voc": BenchmarkSettings(
                background_words=_BACKGROUND_WORDS,
                words={
                    "boat": "ship",
                    "diningtable": "table",
                    "person": _PERSON,
                    "tvmonitor": "television monitor|tv monitor|monitor|television|screen",
                },
            ),
            # A bed is a class there, so that it cannot be background too.
            "coco-object": BenchmarkSettings(
                background_words=tuple(word for word in _BACKGROUND_WORDS if word != "bed"),
                words={"person": f"{_PERSON}|body"},
            ),
            "coco-stuff": BenchmarkSettings(short_side=448),
            "cityscapes": BenchmarkSettings(short_side=560),
        }
    ),
)
"""After Wang et al. 2024 (SCLIP): small windows, 80 templates, background words."""

OURS = Protocol(
    name="ours",
    short_side=None,
    antialias=True,
    border="fit",
    resized="groups",
    scoring="softmax",
    synonyms="sum",
    lexicon=True,
    scale="model",
    other_sides="model",
    refinement="model",
)
"""For images of users: one window, the whole image; all labels may be used."""

QUICK = replace(OURS, name="quick", other_sides=(), refinement=None)
"""As `ours`, without what takes much time: one size of the image and no refinement of borders."""

PROTOCOLS = {"ours": OURS, "quick": QUICK, "groupvit": GROUPVIT, "tcl": TCL, "sclip": SCLIP}
"""All protocols by name."""


def named(name: Protocol | str) -> Protocol:
    """Protocol of this name; a protocol is returned as it is.

    Raises:
        InputError: It does not exist.
    """
    if isinstance(name, Protocol):
        return name
    if name not in tuple(PROTOCOLS):  # a user may give any value
        raise InputError(
            f"there is no protocol {name!r}; known are {', '.join(PROTOCOLS)}"
            + suggestion(name, PROTOCOLS)
        )
    return PROTOCOLS[name]
