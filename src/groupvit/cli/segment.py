"""`groupvit segment`: which pixels of images belong to which word."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from groupvit.cli.background import BackgroundOptions
from groupvit.cli.options import Flag, Images, ModelOptions, Words
from groupvit.errors import InputError

Format = Literal["overlay", "index", "groups", "coco", "geojson", "npz"]


def segment(
    images: Images,
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    labels: Words = (),
    labels_file: Path | None = None,
    out: Path = Path("out"),
    format: tuple[Format, ...] = ("overlay", "index"),  # noqa: A002
    background: float | Literal["auto"] | None = None,
    background_words: Words = (),
    background_thresholds: Words = (),
    background_file: Path | None = None,
    top_labels: int | Literal["all"] | None = None,
    overwrite: Flag = False,
) -> int:
    """Segment images by words.

    Args:
        images: Image files, folders, or patterns such as "photos/*.jpg".
        options: Which model, and how it looks at images.
        labels: Words to find, such as: dog grass sky. Synonyms share a label: "car|taxi". An
            exported model may bring its own.
        labels_file: A text file with one label per line, instead of --labels.
        out: Folder for what is written.
        format: What is written. overlay: the image in colors with names; index: a PNG whose
            values are label numbers; groups: the groups of every stage; coco: one JSON for all
            images; geojson: polygons; npz: soft scores.
        background: What lies below this belongs to no label. auto: as the model was calibrated to,
            or its usual threshold. A number: a score in [0, 1]; for models with centered embeddings
            a cosine; for those that have learned a background, such as the bundled one, a cosine
            above that; begin with 0.5, 0.2, or 0.
        background_words: Words that compete with the labels and become background.
        background_thresholds: Thresholds for single labels, such as: dog=0.5 cat=0.4.
        background_file: Thresholds that groupvit calibrate found; the options above change them.
        top_labels: Use at most this many labels in a window, those that fit it best, or all; else
            as many as the protocol says.
        overwrite: Replace files that exist.
    """
    from groupvit.cli.images import Request, work_through

    behind = BackgroundOptions(background, background_words, background_thresholds, background_file)
    wanted = _labels(labels, labels_file, options.model)
    behind.check(wanted)
    request = Request(
        labels=wanted,
        background=behind,
        top_labels=top_labels,
        out=out,
        formats=format,
        overwrite=overwrite,
    )
    return work_through(images, options, request)


def _labels(labels: tuple[str, ...], file: Path | None, model: str) -> tuple[str, ...]:
    from groupvit.text.prompts import parse_labels

    if file is not None:
        if labels:
            raise InputError("both --labels and --labels-file are given; keep one of them")
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--labels-file {file} cannot be read: {error}") from error
        labels = tuple(line.strip() for line in lines if line.strip())
    if not labels:
        labels = _brought_by(Path(model).expanduser())
    parse_labels(labels)  # refuse bad words before anything is loaded
    return labels


def _brought_by(model: Path) -> tuple[str, ...]:
    """The labels of an exported model."""
    if not (model / "image.onnx").is_file():
        return ()  # sooner told than by loading what reads the folder

    from groupvit.exported import folder

    return folder.read(model).labels
