"""Recipes: complete settings of a training run, by name.

A settings file names one (`recipe = "levels"`) and lists what differs from it. To add a recipe, put
its settings here and an entry into `RECIPES`; `groupvit recipes` then lists it.
"""

from pathlib import Path
from typing import Any, NamedTuple

from groupvit.config import from_values, read_toml
from groupvit.data.config import AugmentationConfig, DataConfig
from groupvit.errors import InputError, suggestion
from groupvit.model.config import (
    GroupViTConfig,
    ImageEncoderConfig,
    StageConfig,
    TextEncoderConfig,
)
from groupvit.model.inference import InferenceConfig
from groupvit.training.config import ObjectiveConfig, OptimConfig, TrainingConfig

PAPER = TrainingConfig()
"""The paper and its release, for batches of 4,096 pairs; all defaults are its settings, but for the
tagger of nouns, whose released one needs NLTK's data (configs/paper.toml)."""

SMALL_TEXT = TextEncoderConfig(
    vocabulary_size=8192, context_length=48, dim=128, depth=2, num_heads=4
)
"""Text encoder for thousands of pairs."""
FLIP_ONLY = AugmentationConfig(rand_augment_ops=0, erasing=0.0)
"""Augmentation for small data, and the only one that stored features allow."""

LEVELS = TrainingConfig(
    steps=3000,
    precision="bfloat16",
    ema_decay=0.998,
    log_every=50,
    save_every=500,
    # Small data: one batch worker, mild crops, no RandAugment, one more noun of each caption.
    data=DataConfig(
        batch_size=64,
        num_prompts=4,
        templates="subset",
        crop_scale_min=0.5,
        num_workers=1,
        augmentation=FLIP_ONLY,
    ),
    optim=OptimConfig(lr=1e-3, first_lr=1e-4, last_lr=1e-5, warmup_steps=100, beta2=0.98),
    # Nouns supervise segments of every stage, and patches, in place of the multi-label loss on the
    # image embedding: that one is satisfied if a single segment covers the whole image.
    objective=ObjectiveConfig(
        caption_weight=0.5,
        multi_label_weight=0.0,
        segment_nouns_weight=1.0,
        patch_nouns_weight=1.0,
        partial_label_weight=0.1,
        segment_distillation_weight=1.0,
        mutual_information_weight=0.1,
        every_stage=True,
    ),
    inference=InferenceConfig(short_side=160, naming="levels"),
    model=GroupViTConfig(
        embedding_dim=128,
        projector_dim=512,
        centered=True,
        patch_projector=True,
        text=SMALL_TEXT,
        # Patches keep to their surroundings (convolutions, no positions, no block before the first
        # grouping), so that a segment can only be about the patches that it consists of.
        image=ImageEncoderConfig(
            image_size=112,
            patch_size=8,
            dim=128,
            num_heads=4,
            drop_path=0.0,
            stem="convolutions",
            positions=False,
            pooling="embeddings",
            grouping="soft",
            stages=(
                StageConfig(depth=0, num_group_tokens=48, num_groups=48),
                StageConfig(depth=1, num_group_tokens=24, num_groups=24),
                StageConfig(depth=0),
            ),
        ),
    ),
)
"""Grouping from some thousands of pairs on a CPU, from nothing."""


BACKGROUND_WORDS = (
    *("grass", "field", "water", "ocean", "lake", "river", "snow", "sand", "beach"),
    *("sky", "cloud", "tree", "forest", "mountain", "hill", "rock", "dirt", "ground", "wood"),
    *("road", "street", "sidewalk", "bridge", "stairs", "building", "house", "window", "door"),
    *("wall", "floor", "fence", "bed"),
)
"""Things that surround what people label in photographs."""

PHOTOS = TrainingConfig(
    steps=1000,
    ema_decay=0.99,
    log_every=20,
    save_every=100,
    domain="photographs",
    data=DataConfig(
        batch_size=64,
        num_prompts=8,
        templates="subset",
        nouns_of="image",
        merge_plurals=True,
        crop_scale_min=0.35,
        cached_crops=4,
        class_prompts=6,
        num_workers=1,
        augmentation=FLIP_ONLY,
    ),
    optim=OptimConfig(
        lr=1e-3,
        first_lr=1e-5,
        last_lr=2e-5,
        trunk_lr=3e-4,
        warmup_steps=100,
        beta2=0.98,
    ),
    objective=ObjectiveConfig(
        caption_weight=0.5,
        multi_label_weight=0.0,
        patch_nouns_weight=1.0,
        noun_prior=0.25,
        noun_scale=20.0,
        distillation_weight=0.5,
    ),
    inference=InferenceConfig(
        short_side=320,
        naming="parts",
        other_sides=(224, 448),
        scale=20.0,
        background_words=BACKGROUND_WORDS,
        refinement=True,
        refinement_resolution=0.5,
    ),
    model=GroupViTConfig(
        embedding_dim=256,
        projector_dim=512,
        centered=True,
        patch_projector=True,
        text=SMALL_TEXT,
        image=ImageEncoderConfig(
            image_size=224,
            patch_size=8,
            dim=256,
            drop_path=0.0,
            stem="efficientnet-lite0",
            trunk_dropout=0.2,
            trunk_stride=16,
            positions=False,
            pooling="patches",
            grouping="rounds",
            stages=(
                StageConfig(depth=0, num_group_tokens=49, num_groups=49),
                StageConfig(depth=0, num_group_tokens=8, num_groups=8),
                StageConfig(depth=0),
            ),
        ),
    ),
)
"""Photographs from some thousands of pairs on a CPU, on a trunk trained with ImageNet labels."""


class Recipe(NamedTuple):
    """A recipe, and what is known of it."""

    settings: TrainingConfig
    summary: str
    """One line: the model, and the data it is meant for."""
    cost: tuple[str, ...]
    """Measured or planned time, with the hardware."""
    reached: tuple[str, ...]
    """Measured scores, with their protocol and what to compare them with."""


RECIPES = {
    "levels": Recipe(
        LEVELS,
        summary="2.8 M parameters, for thousands of pairs in batches of 64, on a CPU or one GPU",
        cost=(
            "20 minutes on two CPU cores for configs/storybook-quick.toml (3,500 steps)",
            "83 minutes on two CPU cores for configs/storybook.toml (8,000 steps)",
        ),
        reached=(
            "mIoU 65.3 on 500 drawn test scenes, 23 classes, by storybook-quick (81.0 refined)",
            "mIoU 69.9 ± 1.6 there by storybook, 3 seeds (84.7 ± 1.6 refined)",
            "mIoU 34.2 ± 0.8 on 200 drawn scenes after 300 steps, 3 seeds; paper: 5.1 ± 2.0",
            "recall at 10 of 1,000 Flickr8k images 4.7 ± 0.2 % after 300 steps; chance: 1.0 %",
        ),
    ),
    "photos": Recipe(
        PHOTOS,
        summary="photographs: a small trunk of ImageNet, words from captions, on a CPU",
        cost=("45 minutes on two CPU cores for configs/photos.toml, 17 of them to store features",),
        reached=(
            "mIoU 44.7 on the 1,449 images of VOC 2012 val, 21 classes, one seed; quick: 41.6",
            "everything background there: 3.5",
        ),
    ),
    "paper": Recipe(
        PAPER,
        summary="Xu et al. 2022: 56 M parameters, for millions of pairs in batches of 4,096",
        cost=("2.6 hours on 16 H200 GPUs at 20 % of peak for 860 million pairs; planned, not run",),
        reached=(
            "not run here at its own size; at the size of levels its grouping collapses:",
            "mIoU 5.1 ± 2.0 on 200 drawn scenes after 300 steps, 3 seeds; levels: 34.2 ± 0.8",
        ),
    ),
}
DEFAULT = "paper"
"""The recipe of a settings file that names none."""


class Run(NamedTuple):
    """The settings of a run, and the recipe that they began with."""

    recipe: str
    settings: TrainingConfig


def load(file: Path | None = None, *, recipe: str | None = None) -> Run:
    """The settings of a recipe, changed by a settings file.

    Args:
        file: A TOML file, which names its recipe (`recipe = "levels"`) and lists what differs.
        recipe: Name of the recipe, for a file that names none, or without a file.

    Raises:
        InputError: There is no such recipe, the file names another one, cannot be read, or holds
            settings that do not fit.
    """
    values: dict[str, Any] = {} if file is None else read_toml(file)
    named = values.pop("recipe", None)
    if recipe is not None and named not in (None, recipe):
        raise InputError(
            f"--recipe is {recipe}, but {file} lists what differs from {named!r}; leave out "
            "--recipe, or choose another file"
        )
    name = next(one for one in (named, recipe, DEFAULT) if one is not None)
    if name not in tuple(RECIPES):  # a file may hold any value
        where = "" if named is None else f"{file}: "
        raise InputError(
            f"{where}there is no recipe {name!r}; known are {', '.join(RECIPES)}"
            + suggestion(name, RECIPES)
        )
    base = RECIPES[name].settings
    return Run(name, from_values(TrainingConfig, values, where=str(file), base=base))
