"""Protocols: everything that decides how an image is scored, under one name."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from groupvit.errors import InputError
from groupvit.model.config import GroupViTConfig
from groupvit.model.inference import InferenceConfig, Naming
from groupvit.segmentation.refinement import Refinement
from groupvit.text.background import Certainty
from groupvit.text.templates import FULL, SIMPLE, SUBSET

THRESHOLDS: Mapping[Certainty, float] = MappingProxyType(
    {"score": 0.5, "similarity": 0.2, "margin": 0.0}
)
"""Where the background begins if nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a protocol prescribes for one benchmark alone."""

    threshold: float | None = None
    """Score below which pixels are background, [0, 1]; None: that of the protocol."""
    background_words: tuple[str, ...] = ()
    """Words that compete with the classes and become background."""
    words: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What is said for some classes instead of their names, such as `car|taxi`."""
    short_side: int | None = None
    """Length that the shorter side is resized to [pixels]; None: that of the protocol."""


NOTHING = Conditions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How an image is resized, cut, and scored against words."""

    name: str
    """What reports call it."""
    short_side: int | None = 448
    """Length that the shorter side is resized to [pixels]; None: what the model asks for, or twice
    its training size."""
    long_side: int = 2048
    """Length that the longer side never exceeds [pixels]."""
    antialias: bool
    """Whether shrinking averages over what falls together, or samples as the original does."""
    border: Literal["fit", "cut"]
    """When a side is no multiple of the patch: fit the image to one, or cut the rest off."""
    window: int | None = None
    """Side of the sliding windows [pixels]; None: the whole image at once."""
    stride: int = 224
    """Step between windows [pixels]."""
    templates: tuple[str, ...] = SIMPLE
    """Sentences that a word is put into; their embeddings are averaged."""
    top_labels: int | None = None
    """How many labels may be used, those that fit the whole window best; None: all."""
    resized: Literal["groups", "scores"]
    """What is brought to the size of the image: the groups, so that every pixel has the label of
    its group; or the scores of the pixels that the network saw, as published."""
    naming: Naming | None = None
    """What takes the words; None: what the model asks for."""
    refinement: Refinement | None = None
    """How borders are moved to where colors change; None: not at all."""
    certainty: Certainty | None = None
    """What a background is told by; None: what the model asks for."""
    threshold: float | None = None
    """On benchmarks with a background, where it begins; None: where the model was calibrated to, or
    else 0.5 for scores, 0.2 for cosines, 0 for margins."""
    spares_best: bool = True
    """Whether the most certain group of a window is never background, as in the original; only
    where scores tell the background."""
    conditions: Mapping[str, Conditions] = field(default_factory=lambda: MappingProxyType({}))
    """What holds for some benchmarks alone, by their keys."""
    scoring: Literal["softmax", "product"]
    """Softmax over the labels kept, or that times the softmax over all labels (the original)."""

    def __post_init__(self) -> None:
        """Check the numbers that people set."""
        for name in ("short_side", "long_side", "window", "stride", "top_labels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; give at least 1")
        if self.window is not None and self.stride > self.window:
            raise InputError(
                f"stride {self.stride} is larger than window {self.window}; "
                "pixels between the windows would be lost"
            )

    def conditions_on(self, benchmark: str) -> Conditions:
        """What is prescribed for the benchmark of this key."""
        found = self.conditions.get(benchmark, NOTHING)
        return found if found.threshold is not None else replace(found, threshold=self.threshold)

    def certainty_of(self, model: GroupViTConfig) -> Certainty:
        """What a background is told by: what was learned, or cosines if they are centered."""
        if self.certainty is not None:
            return self.certainty
        return "margin" if model.background_layer else "similarity" if model.centered else "score"

    def for_model(self, inference: InferenceConfig) -> "Protocol":
        """The protocol with the settings of the model where it leaves them open."""
        return replace(
            self,
            short_side=self.short_side or inference.short_side,
            naming=self.naming or inference.naming,
        )

    def on(self, benchmark: str) -> "Protocol":
        """The protocol with the size that it prescribes for the benchmark of this key."""
        short_side = self.conditions.get(benchmark, NOTHING).short_side
        return self if short_side is None else replace(self, short_side=short_side)


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
    threshold=0.95,
    conditions=MappingProxyType(
        {
            "voc": Conditions(
                words={"diningtable": "table", "pottedplant": "plant", "tvmonitor": "monitor"}
            ),
            "context": Conditions(
                threshold=0.35,
                words={"aeroplane": "airplane", "pottedplant": "plant", "tvmonitor": "monitor"},
            ),
        }
    ),
)
"""The published pipeline: sliding windows of 448, the five likeliest labels of each."""

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
    spares_best=False,
)
"""The common ground of Cha et al. 2023 (TCL): class names as they are, one threshold everywhere."""

_BEHIND = (
    *("sky", "wall", "tree", "wood", "grass", "road", "sea", "river", "mountain", "sands", "desk"),
    *("bed", "building", "cloud", "lamp", "door", "window", "wardrobe", "ceiling", "shelf"),
    *("curtain", "stair", "floor", "hill", "rail", "fence"),
)
_PERSON = "|".join(
    ["person", *(f"person in {x}" for x in ("shirt", "jeans", "dress", "sweater", "skirt"))]
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
    spares_best=False,
    conditions=MappingProxyType(
        {
            "voc": Conditions(
                background_words=_BEHIND,
                words={
                    "boat": "ship",
                    "diningtable": "table",
                    "person": f"{_PERSON}|person in jacket",
                    "tvmonitor": "television monitor|tv monitor|monitor|television|screen",
                },
            ),
            # A bed is a class there, so that it cannot be background too.
            "coco-object": Conditions(
                background_words=tuple(word for word in _BEHIND if word != "bed"),
                words={"person": f"{_PERSON}|person in jacket|body"},
            ),
            "coco-stuff": Conditions(short_side=448),
            "cityscapes": Conditions(short_side=560),
        }
    ),
)
"""In the style of Wang et al. 2024 (SCLIP): small windows, 80 templates, words for backgrounds."""

OURS = Protocol(
    name="ours",
    short_side=None,
    antialias=True,
    border="fit",
    resized="groups",
    scoring="softmax",
)
"""For people's images: the whole image at once, every label that was asked for."""

PROTOCOLS = {protocol.name: protocol for protocol in (OURS, GROUPVIT, TCL, SCLIP)}


def named(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        InputError: There is none.
    """
    if name not in PROTOCOLS:
        raise InputError(f"there is no protocol {name!r}; known are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
