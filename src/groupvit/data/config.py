"""Settings of the training data: shards, masks, batches, crops, prompts and augmentation."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from groupvit.config import shown_default
from groupvit.errors import InputError

Nouns = Literal["pattern", "perceptron"]
"""Part-of-speech tagger that finds the nouns of captions; see `groupvit.text.nouns`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationConfig:
    """Augmentation of images on the device. The defaults are those of GroupViT and DeiT."""

    flip: bool = True
    """Flip half of the images left to right."""
    rand_augment_ops: int = 2
    """Operations of RandAugment for each image, each applied with probability 1/2; 0: none."""
    rand_augment_magnitude: float = 9.0
    """Mean strength of these operations, 0 to 10, with a standard deviation of 0.5."""
    erasing: float = 0.25
    """Fraction of the images in which a rectangle is replaced by noise, [0, 1]."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.rand_augment_ops < 0:
            raise InputError(f"rand_augment_ops is {self.rand_augment_ops}; give 0 or more")
        if not 0 <= self.rand_augment_magnitude <= 10:
            raise InputError(
                f"rand_augment_magnitude is {self.rand_augment_magnitude}; give 0 to 10"
            )
        if not 0 <= self.erasing <= 1:
            raise InputError(f"erasing is {self.erasing}; give a number between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One of several sources of pairs."""

    shards: tuple[str, ...]
    """Tar shards, as `DataConfig.shards`."""
    weight: float = 1.0
    """Share of the pairs that come from this source, in any unit, the same for all sources."""

    def __post_init__(self) -> None:
        """Refuse a source without shards, or a weight that is no share."""
        if not self.shards:
            raise InputError("a source has no shards; name tar files in each of data.sources")
        if not 0 < self.weight < math.inf:
            raise InputError(
                f"the weight of a source is {self.weight}; give a number above 0, or leave the "
                "source out"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Training data: shards, batches, crops and prompts."""

    shards: Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint=shown_default)] = ()
    """Tar shards: files, folders, globs ("pairs/*.tar"), text files (.txt) that list them, and
    ranges in braces, in which numbers may be missing: "pairs/train-{000000..000006}.tar". Addresses
    of object stores are read by fsspec: "s3://bucket/pairs/train-{000000..000006}.tar"."""
    sources: Annotated[tuple[SourceConfig, ...], tyro.conf.Suppress] = ()
    """Several sources of pairs in place of `shards`, mixed by weight within every batch: tables
    `[[data.sources]]` with `shards` and `weight` (1.0) in the settings file."""
    copies: str = ""
    """Folder on this machine to which shards of object stores are copied when they are first read;
    empty: each image is read by a request of its range."""
    masks: Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint=shown_default)] = ()
    """Folders of images with masks, each with images/, masks/ and classes.txt of its own; a batch
    comes from one of them."""
    mask_share: float = 1.0
    """Share of the batches that have masks, if there are masks, (0, 1]; the others have captions.
    With 1.0 the settings of captions, and of losses on captions, have no effect."""
    mask_labels: Literal["classes", "others", "pairs"] = "classes"
    """Labels that compete for the pixels of an image: the classes of its folder, and pixels without
    a class are ignored; these and «others», which such pixels get; or, as published, «others» and
    one class of the image, so that pixels of other classes are «others» too."""
    mask_values: Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint=shown_default)] = ()
    """Classes of the values or colors of masks, if they are not line numbers of classes.txt, for
    all folders: 0=background 255=tree 808080=ignored."""
    mask_orientation: Literal["refuse", "upright", "file"] = "refuse"
    """Orientation of masks of images with an EXIF orientation, if their size does not show it: as
    seen, or as stored in the file."""
    held_out: Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint=shown_default)] = ()
    """Names of classes that masks do not teach: their pixels have no class."""
    held_out_images: Literal["keep", "leave"] = "keep"
    """Images whose masks show a held-out class: kept, or left out."""
    batch_size: int = 256
    """Images, with captions or masks, of one rank in a step."""
    num_prompts: int = 3
    """Nouns of a caption used as prompts (K); 0 trains without the multi-label loss."""
    nouns: Nouns = "pattern"
    """Tagger that finds the nouns: TextBlob's rules, or NLTK's with verbs, as published."""
    nouns_of: Literal["caption", "image"] = "caption"
    """Nouns that an image has in a step: those of its drawn caption, or of all its captions."""
    merge_plurals: bool = False
    """Take the plural of a noun for the noun, if its singular occurs in the captions too."""
    templates: str = "full"
    """Templates of the noun prompts: simple, subset (7), full (80), or a text file."""
    crop_scale_min: float = 0.08
    """Smallest fraction of an image's area in a random crop, (0, 1]."""
    crop_scale_max: float = 1.0
    """Largest fraction, (0, 1]."""
    crop_ratio_min: float = 3 / 4
    """Smallest width / height of a crop; with all four at 1.0, square images stay whole."""
    crop_ratio_max: float = 4 / 3
    """Largest width / height of a crop."""
    cached_crops: int = 0
    """Random crops of each image whose trunk features are stored before the first step, and read in
    place of the images; 0: none. Needs a pretrained trunk (model.image.stem)."""
    cache: str = ""
    """Folder of the stored features; empty: `features` in the run folder."""
    class_prompts: int = 0
    """Class names of a pretrained classifier used as prompts of an image, two thirds of them the
    likeliest in it and the others at random; needs cached_crops, and counted nouns (nouns_of or
    merge_plurals)."""
    num_workers: int = 2
    """Processes that prepare batches; 0: the training process itself."""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Augmentation of images on the device."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.shards and self.sources:
            raise InputError(
                "data.shards and data.sources are both given; name all shards in data.sources, or "
                "leave it out"
            )
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value < least:
                raise InputError(f"{name} is {value}; give at least {least}")
        if not 0 < self.mask_share <= 1:
            raise InputError(
                f"data.mask_share is {self.mask_share}; give a share above 0 and at most 1, or "
                "leave out data.masks to train without masks"
            )
        if self.cache and not self.cached_crops:
            raise InputError(
                f"data.cache is {self.cache!r}, but data.cached_crops is 0, so that no features "
                "are stored; give data.cached_crops too, or leave both out"
            )
        if self.class_prompts and not (
            self.cached_crops and (self.nouns_of == "image" or self.merge_plurals)
        ):
            raise InputError(
                f"data.class_prompts is {self.class_prompts}, which needs stored features and "
                "counted nouns; give data.cached_crops, and data.nouns_of 'image' or "
                "data.merge_plurals, or leave it out"
            )
        if not 0 < self.crop_scale_min <= self.crop_scale_max <= 1:
            raise InputError(
                f"crop_scale_min and crop_scale_max are {self.crop_scale_min} and "
                f"{self.crop_scale_max}; they should rise within 0 and 1"
            )
        if not 0 < self.crop_ratio_min <= self.crop_ratio_max:
            raise InputError(
                f"crop_ratio_min and crop_ratio_max are {self.crop_ratio_min} and "
                f"{self.crop_ratio_max}; they should rise from above 0"
            )


_LEAST = {
    "batch_size": 1,
    "num_prompts": 0,
    "num_workers": 0,
    "cached_crops": 0,
    "class_prompts": 0,
}
