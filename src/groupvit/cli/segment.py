"""`groupvit segment`: a label for every pixel of images."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

import tyro

from groupvit.cli.background import BackgroundOptions
from groupvit.cli.options import Flag, Images, ModelOptions, Words
from groupvit.errors import InputError
from groupvit.formats import Format, ShardFormat

SHARD_SIZE = 1000


def segment(
    images: Images,
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    labels: Words = (),
    labels_file: Path | None = None,
    labels_from: Path | None = None,
    out: str = "out",
    format: tuple[Format | ShardFormat, ...] = ("overlay", "index"),  # noqa: A002
    background: float | Literal["auto"] | None = None,
    background_words: Words = (),
    background_thresholds: Words = (),
    background_file: Path | None = None,
    top_labels: int | Literal["all"] | None = None,
    allow_url: Flag = False,
    overwrite: Flag = False,
    workers: int | Literal["ray"] = 1,
    shard_size: int = SHARD_SIZE,
) -> int:
    """Segment images by labels.

    An interrupted run continues with the same command.

    Args:
        images: Image files, folders, or patterns such as "photos/*.jpg"; a page of a TIFF file as
            scan.tif#2. With the formats parquet, webdataset and files also tar and Parquet shards,
            "pairs/{000..041}.tar", and URLs.
        options: Model and image settings.
        labels: Labels to assign, such as: dog grass sky, or "dog, potted plant". Synonyms share a
            label: "car|taxi". Quotation marks keep a comma: '"salt, pepper"'. An exported model
            may have default labels.
        labels_file: Text file of labels, one per line or separated by commas, instead of --labels.
        labels_from: Table with the labels of each image, instead of --labels: rows such as
            dog.jpg,dog,grass.
        out: Output folder; for shards also a URL, such as s3://bucket/masks.
        format: Files to write. overlay: image with colored labels and their names; index: PNG
            whose pixel values are label indices; groups: groups of each stage; coco: one COCO JSON
            for all images; geojson: polygons; npz: soft scores. For many images, one of: parquet,
            webdataset, files: masks as run lengths, shard by shard (docs/scale.md).
        background: Threshold below which a pixel is background. auto: the calibrated threshold of
            the model, or the default of its kind. A number: for released models a score in [0, 1],
            e.g. 0.5; for models with centered embeddings a cosine, e.g. 0.2; for models with a
            learned background, such as storybook, an offset to the learned cosine, e.g. 0.
        background_words: Words that compete with the labels and become background.
        background_thresholds: Thresholds of single labels, such as: dog=0.5 cat=0.4.
        background_file: Thresholds written by groupvit calibrate; the options above override them.
        top_labels: Maximum number of labels in a window, those that fit it best, or all; default:
            as the protocol is set.
        allow_url: Download images whose web address is given.
        overwrite: Replace existing files.
        workers: Processes on this machine, or ray: those of a Ray cluster; for shards.
        shard_size: Images that a folder is cut into; for shards.
    """
    from groupvit.cli.images import segment_images

    options_of_background = BackgroundOptions(
        background, background_words, background_thresholds, background_file
    )
    if labels_from is None:
        all_labels = _labels(labels, labels_file, options.model)
    else:
        all_labels = ()
        _check_alone(labels, labels_file, format)
    options_of_background.check(all_labels)
    formats, for_shards = _split(format)
    if for_shards:
        if len(format) > 1 or overwrite or labels_from is not None:
            raise InputError(
                f"the format {for_shards[0]} stands alone, without other formats, --overwrite and "
                "--labels-from; leave them out, and to begin anew choose another --out"
            )
        from groupvit.cli.shards import segment_shards

        return segment_shards(
            images,
            options,
            labels=all_labels,
            background=options_of_background,
            top_labels=top_labels,
            out=out,
            output=for_shards[0],
            workers=workers,
            shard_size=shard_size,
        )
    if workers != 1 or shard_size != SHARD_SIZE:
        raise InputError(
            "--workers and --shard-size are for shards; give --format parquet, webdataset or files"
        )
    return segment_images(
        images,
        options,
        labels=all_labels,
        labels_from=labels_from,
        background=options_of_background,
        top_labels=top_labels,
        out=Path(out),
        formats=formats,
        allow_url=allow_url,
        overwrite=overwrite,
    )


def _check_alone(
    labels: tuple[str, ...], labels_file: Path | None, formats: Collection[Format | ShardFormat]
) -> None:
    """Refuse options that --labels-from excludes."""
    if labels or labels_file is not None:
        raise InputError("labels are given beside --labels-from; keep one of them")
    if "coco" in formats:
        raise InputError(
            "coco.json has the same categories for all images, and --labels-from gives each its "
            "own; leave one of them out"
        )


def _split(
    given: tuple[Format | ShardFormat, ...],
) -> tuple[list[Format], list[ShardFormat]]:
    """Formats of single images, and of shards."""
    formats: list[Format] = []
    for_shards: list[ShardFormat] = []
    for one in given:
        match one:
            case "parquet" | "webdataset" | "files":
                for_shards.append(one)
            case _:
                formats.append(one)
    return formats, for_shards


def _labels(labels: tuple[str, ...], file: Path | None, model: str) -> tuple[str, ...]:
    from groupvit.text.label_file import read_lines, without_numbers
    from groupvit.text.prompts import parse_labels

    if file is not None:
        if labels:
            raise InputError("both --labels and --labels-file are given; keep one of them")
        labels = tuple(without_numbers(list(filter(None, read_lines(file))), file))
    if not labels:
        labels = _labels_of_export(Path(model).expanduser())
    parse_labels(labels)  # mistakes are found before the model is loaded
    return labels


def _labels_of_export(model: Path) -> tuple[str, ...]:
    """Default labels of an exported model; none for any other."""
    if not (model / "image.onnx").is_file():
        return ()  # before importing what reads exported models, which takes a second

    from groupvit.exported import folder

    return folder.read(model).labels
