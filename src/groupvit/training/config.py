"""Settings of a training run; the defaults are the recipe of the paper and its release."""

import math
from dataclasses import dataclass, field, fields
from typing import Annotated, Literal

import tyro

from groupvit.config import shown_default
from groupvit.data.config import DataConfig
from groupvit.errors import InputError
from groupvit.model.config import TRUNKS, GroupViTConfig
from groupvit.model.inference import InferenceConfig
from groupvit.text.coverage import Coverage

Frozen = Literal["text", "all-but-groups"]
"""Parts that can be frozen: the text encoder with its projector, or everything but the group
tokens, their projectors between stages, and the grouping blocks."""
Switch = tyro.conf.FlagCreatePairsOff[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """Losses and their weights."""

    caption: Literal["contrastive", "sigmoid"] = "contrastive"
    """Loss between images and captions: softmax over the batch, or sigmoid by pair (SigLIP)."""
    form: Literal["code", "paper"] = "code"
    """Form of the contrastive and the multi-label loss: that of the released code, or that of the
    paper, which is about twice as large and needs only one prompt of an image to match."""
    caption_weight: float = 1.0
    """Weight of the loss between images and captions."""
    multi_label_weight: float = 1.0
    """Weight of the loss between images and prompts."""
    segment_nouns_weight: float = 0.0
    """Weight of the multiple-instance loss between nouns and segments: every noun of a caption
    matches some segment of its image, and no other noun does."""
    patch_nouns_weight: float = 0.0
    """Weight of the same loss on patches; needs model.patch_projector."""
    partial_label_weight: float = 0.0
    """Weight of the partial-label loss: every segment matches some noun of its caption."""
    every_stage: Switch = False
    """Apply the losses on segments to every stage, not to the last alone."""
    segment_distillation_weight: float = 0.0
    """Weight of the distillation of the nouns of patches into the segments that hold them; needs
    patch_nouns_weight, and one of the weights of segments."""
    background_layer_weight: float = 0.0
    """Weight of the loss of the background layer: parts that match no noun of the caption are
    background; needs model.background_layer, and one of the weights of segments or patches."""
    noun_prior: float = 0.0
    """Weight of a noun's own share of images in the prior of the losses on nouns, [0, 1]: the
    geometric mean with the share common to all nouns (0), so that frequent nouns do not win by
    being frequent."""
    noun_scale: float = 0.0
    """Fixed inverse temperature of the losses on nouns and of the distillation; 0: learned."""
    distillation_weight: float = 0.0
    """Weight of the distillation of the class names that the classifier of a pretrained trunk finds
    at each place; needs data.cached_crops and data.class_prompts."""
    pixel_scale: float = 1 / 0.07
    """Fixed inverse temperature of the loss on pixels, the only one of batches with masks; 0:
    learned, that of the captions."""
    mutual_information_weight: float = 0.0
    """Weight of minus the mutual information of tokens and groups, in every stage."""

    @property
    def of_segments(self) -> bool:
        """True if a loss applies to single segments."""
        return self.segment_nouns_weight > 0 or self.partial_label_weight > 0

    @property
    def of_nouns(self) -> bool:
        """True if a loss compares nouns with segments or patches."""
        return self.of_segments or self.patch_nouns_weight > 0

    @property
    def of_multi_label_scale(self) -> bool:
        """True if a loss uses the temperature of the losses on prompts."""
        return self.of_nouns or self.multi_label_weight > 0

    def __post_init__(self) -> None:
        """Check the weights."""
        for name in [setting.name for setting in fields(self) if setting.name.endswith("_weight")]:
            weight = getattr(self, name)
            if not 0 <= weight < math.inf:
                raise ValueError(f"{name} is {weight}; it must be at least 0")
        if not 0 <= self.noun_prior <= 1:
            raise InputError(f"objective.noun_prior is {self.noun_prior}; give 0 to 1")
        _check("objective.noun_scale", self.noun_scale, least=0)
        _check("objective.pixel_scale", self.pixel_scale, least=0)
        if self.segment_distillation_weight and not (self.patch_nouns_weight and self.of_segments):
            raise InputError(
                "objective.segment_distillation_weight needs objective.patch_nouns_weight too, and "
                "objective.segment_nouns_weight or partial_label_weight"
            )
        if self.background_layer_weight and not self.of_nouns:
            raise InputError(
                "objective.background_layer_weight needs one of objective.segment_nouns_weight, "
                "partial_label_weight and patch_nouns_weight too"
            )
        if not (self.caption_weight or self.multi_label_weight or self.of_segments):
            raise InputError(
                "no loss compares images or segments with texts; give objective.caption_weight, "
                "multi_label_weight, segment_nouns_weight or partial_label_weight"
            )
        self._check_uses()

    def _check_uses(self) -> None:
        """Refuse settings without effect."""
        if self.every_stage and not self.of_segments:
            raise InputError(
                "objective.every_stage applies to losses of segments; give "
                "objective.segment_nouns_weight or partial_label_weight, or leave it out"
            )
        if self.caption == "sigmoid" and not self.caption_weight:
            raise InputError(
                "objective.caption is 'sigmoid', but objective.caption_weight is 0; set both or "
                "neither"
            )
        if self.form == "paper" and self.caption == "sigmoid":
            raise InputError(
                "objective.form 'paper' is a form of the contrastive loss, and objective.caption "
                "is 'sigmoid'; leave one of them out"
            )
        if self.form == "paper" and not (self.caption_weight or self.multi_label_weight):
            raise InputError(
                "objective.form 'paper' has no effect, as objective.caption_weight and "
                "multi_label_weight are 0; leave it out"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """AdamW with a linear warm-up and a cosine."""

    lr: float = 1.6e-3
    """Peak learning rate; the default suits a global batch of 4,096."""
    trunk_lr: float = 0.0
    """Peak learning rate of the upper half of a pretrained trunk, scheduled as `lr` in proportion;
    0: it is frozen, as the lower half always is."""
    first_lr: float = 4e-6
    """Learning rate of the first step; it rises linearly from here."""
    last_lr: float = 4e-5
    """Learning rate that the cosine ends at."""
    warmup_steps: int = 14_000
    """Steps until the learning rate has risen; the default is two epochs of the paper's data."""
    weight_decay: float = 0.05
    """Weight decay of everything but biases and norms."""
    beta1: float = 0.9
    """Decay of the mean gradient, [0, 1)."""
    beta2: float = 0.999
    """Decay of the mean squared gradient, [0, 1)."""
    eps: float = 1e-8
    """Term added to the root of the mean squared gradient."""
    clip: float = 5.0
    """Largest L2 norm of the gradient; a longer one is scaled down."""

    def __post_init__(self) -> None:
        """Check that the numbers describe a schedule."""
        for name in ("lr", "eps", "clip"):
            _check_positive(name, getattr(self, name))
        for name in ("trunk_lr", "first_lr", "last_lr", "warmup_steps", "weight_decay"):
            _check(name, getattr(self, name), least=0)
        for name in ("beta1", "beta2"):
            _check_decay(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """One training run. Paths are relative to the folder that the command runs in."""

    model: Annotated[GroupViTConfig, tyro.conf.Suppress] = field(default_factory=GroupViTConfig)
    """Architecture."""
    inference: Annotated[InferenceConfig, tyro.conf.Suppress] = field(
        default_factory=InferenceConfig
    )
    """Settings of segmentation that are saved with the model and used in evaluations."""
    data: DataConfig = field(default_factory=DataConfig)
    """The pairs."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """The losses."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """The optimizer."""
    out: str = "runs/groupvit"
    """Run folder; the same command resumes the run in it. Of an address such as
    s3://bucket/runs/first the folder is below `runs`, and checkpoints are copied to the address."""
    start: str = ""
    """Model to start from: a folder, a file of weights or a hub id; empty: random weights from the
    seed. Parts that it lacks are random, positions are stretched to another image size, and of
    another number of group tokens the first are taken."""
    freeze: Annotated[tuple[Frozen, ...], tyro.conf.arg(help_behavior_hint=shown_default)] = ()
    """Frozen parts: text (encoder and projector), all-but-groups."""
    domain: str = ""
    """Images that the model suits, a noun phrase such as "drawn scenes", stored with the model;
    empty: unknown, or that of the model to start from."""
    steps: int = 210_000
    """Length of the run; the default is 30 epochs of the paper's data."""
    seed: int = 0
    """Seed of initial weights, order of samples, augmentation and noise."""
    device: str = "auto"
    """Device: auto, cpu, cuda, mps."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the encoders; weights, losses and the optimizer stay in float32."""
    compile: Switch = False
    """Compile the encoders: slow first steps, then faster ones."""
    chunk: int = 0
    """Pairs that go through the encoders at once, for batches that do not fit into memory
    (gradient caching); 0: the whole batch."""
    ema_decay: float = 0.0
    """Decay of the EMA of the weights, which is evaluated and saved, [0, 1); 0: no EMA."""
    log_every: int = 20
    """Steps between lines of the log."""
    evaluate_every: int = 2_000
    """Steps between evaluations."""
    evaluate_folder: str = ""
    """Folder with images/, masks/ and classes.txt to evaluate on; empty: no evaluation."""
    evaluate_limit: int = 200
    """Images of that folder that are used, the first ones, and pairs of the retrieval at the end,
    spread over their shards; 0: all."""
    evaluate_shards: Annotated[
        tuple[str, ...], tyro.conf.arg(help_behavior_hint=shown_default)
    ] = ()
    """Tar files of pairs kept apart from training, for retrieval at the end of the run; empty:
    pairs of data.shards, unless there is an evaluate_folder."""
    save_every: int = 1_000
    """Steps between checkpoints."""
    keep_last: int = 2
    """Number of newest checkpoints that are kept; the best one always is."""
    max_skipped: int = 10
    """Consecutive steps whose loss or gradient may be non-finite; one more ends the run."""
    tensorboard: Switch = False
    """Also write TensorBoard files into the run folder."""
    tracker: Literal["none", "wandb", "mlflow"] = "none"
    """Tracker that gets the numbers of the log too, set up by its environment variables."""

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        for name in ("steps", "log_every", "evaluate_every", "save_every", "keep_last"):
            _check(name, getattr(self, name), least=1)
        for name in ("seed", "chunk", "evaluate_limit", "max_skipped"):
            _check(name, getattr(self, name), least=0)
        _check_decay("ema_decay", self.ema_decay)
        if not self.out:
            raise InputError("out is empty; name a folder for the run, such as runs/first")
        if self.optim.warmup_steps > self.steps:
            raise InputError(
                f"optim.warmup_steps is {self.optim.warmup_steps}, more than the {self.steps} "
                "steps; lower it too"
            )
        if self.chunk and self.model.image.stem != "patches":
            raise InputError(
                f"chunk is {self.chunk}, but the batch norms of the stem "
                f"{self.model.image.stem!r} need the whole batch at once; leave chunk at 0 or take "
                "model.image.stem 'patches'"
            )
        if (self.objective.distillation_weight > 0) != (self.data.class_prompts > 0):
            raise InputError(
                f"objective.distillation_weight is {self.objective.distillation_weight} and "
                f"data.class_prompts {self.data.class_prompts}; set both or neither"
            )
        if self.objective.noun_prior and not (
            self.data.nouns_of == "image" or self.data.merge_plurals
        ):
            raise InputError(
                "objective.noun_prior needs counted nouns; set data.nouns_of to 'image', or "
                "data.merge_plurals"
            )
        wants_patches = self.objective.patch_nouns_weight > 0
        if wants_patches != self.model.patch_projector:
            raise InputError(
                f"objective.patch_nouns_weight is {self.objective.patch_nouns_weight} and "
                f"model.patch_projector {self.model.patch_projector}; set both or neither"
            )
        if (self.objective.background_layer_weight > 0) != self.model.background_layer:
            raise InputError(
                "objective.background_layer_weight is "
                f"{self.objective.background_layer_weight} and "
                f"model.background_layer {self.model.background_layer}; set both or neither"
            )
        Coverage(domain=self.domain)
        self._check_uses()

    def _check_uses(self) -> None:
        """Refuse settings without effect."""
        losses, image = self.objective, self.model.image
        if not self.data.num_prompts and losses.of_nouns:
            raise InputError(
                "data.num_prompts is 0, so that the losses on nouns have no prompts; give at least "
                "1, or set objective.segment_nouns_weight, partial_label_weight and "
                "patch_nouns_weight to 0"
            )
        if not self.data.num_prompts and not losses.caption_weight:
            raise InputError(
                "data.num_prompts is 0 and objective.caption_weight too, so that no loss compares "
                "images with texts; set one of them"
            )
        if image.stem == "patches" and any(dilation != 1 for dilation in image.stem_dilations):
            raise InputError(
                f"model.image.stem_dilations are {list(image.stem_dilations)}, but "
                "model.image.stem is 'patches', which has none; leave them out or take stem "
                "'convolutions'"
            )
        self._check_trunk()
        if self.data.cached_crops:
            self._check_cache()
        every_stage = losses.every_stage or len(image.stages) <= 2
        if self.inference.naming == "levels" and not (
            self.start or (losses.of_segments and every_stage)
        ):
            raise InputError(
                "inference.naming is 'levels', which compares the segments of every stage with "
                "labels, but no loss trains them; set objective.every_stage and "
                "segment_nouns_weight, or take naming 'segments'"
            )
        if self.inference.naming == "parts" and not self.model.patch_projector:
            raise InputError(
                "inference.naming is 'parts', which compares patches with labels, but "
                "model.patch_projector is False; set it and objective.patch_nouns_weight, or take "
                "naming 'segments'"
            )

    def _check_trunk(self) -> None:
        """Refuse settings that a pretrained trunk with grouping by rounds leaves without effect."""
        losses = self.objective
        if self.model.image.stem not in TRUNKS:
            if self.optim.trunk_lr:
                raise InputError(
                    f"optim.trunk_lr is {self.optim.trunk_lr}, but model.image.stem "
                    f"{self.model.image.stem!r} is no pretrained trunk; leave it at 0"
                )
            return
        of_groups = losses.of_segments or losses.mutual_information_weight > 0
        if of_groups:
            raise InputError(
                "model.image.grouping 'rounds' has no weights that losses of segments or groups "
                "could train; set objective.segment_nouns_weight, partial_label_weight and "
                "mutual_information_weight to 0"
            )
        if "all-but-groups" in self.freeze:
            raise InputError(
                "freeze 'all-but-groups' would freeze everything, as model.image.grouping "
                "'rounds' has no weights; leave it out"
            )
        if self.inference.naming == "levels":
            raise InputError(
                "inference.naming is 'levels', which model.image.grouping 'rounds' does not have; "
                "take another naming"
            )

    def _check_cache(self) -> None:
        """Refuse stored features without a trunk, and settings that they leave without effect."""
        if self.model.image.stem not in TRUNKS:
            raise InputError(
                f"data.cached_crops is {self.data.cached_crops}, but model.image.stem "
                f"{self.model.image.stem!r} is no pretrained trunk whose features could be stored; "
                f"leave it at 0 or take stem {TRUNKS[0]!r}"
            )
        augmentation = self.data.augmentation
        if augmentation.rand_augment_ops or augmentation.erasing:
            raise InputError(
                "data.augmentation.rand_augment_ops and erasing change images in every step, but "
                f"data.cached_crops is {self.data.cached_crops}, so that features are stored "
                "before; set both to 0, or data.cached_crops"
            )

    @property
    def image_size(self) -> int:
        """Height and width of images, in data and model [pixels]."""
        return self.model.image.image_size


def _check(name: str, number: int | float, *, least: int) -> None:
    if not least <= number < math.inf:
        raise InputError(f"{name} is {number}; it must be at least {least}")


def _check_positive(name: str, number: float) -> None:
    if not 0 < number < math.inf:
        raise InputError(f"{name} is {number}; it must be above 0")


def _check_decay(name: str, number: float) -> None:
    if not 0 <= number < 1:
        raise InputError(f"{name} is {number}; it must be at least 0 and below 1")
