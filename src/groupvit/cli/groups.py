"""`groupvit groups`: groups that a model finds in images, stage by stage."""

from pathlib import Path
from typing import Annotated

import tyro

from groupvit.cli.background import BackgroundOptions
from groupvit.cli.options import Flag, Images, ModelOptions, Words


def groups(
    images: Images,
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    labels: Words = (),
    out: Path = Path("out"),
    allow_url: Flag = False,
    overwrite: Flag = False,
) -> int:
    """Show the groups of each stage beside the image, and their labels.

    Args:
        images: Image files, folders, or patterns such as "photos/*.jpg".
        options: Model and image settings.
        labels: Labels for the groups; without any, only the groups are shown.
        out: Output folder.
        allow_url: Download images whose web address is given.
        overwrite: Replace existing files.
    """
    from groupvit.cli.images import segment_images
    from groupvit.text.prompts import parse_labels

    if labels:
        parse_labels(labels)  # mistakes are found before the model is loaded
    return segment_images(
        images,
        options,
        labels=labels,
        background=BackgroundOptions(),
        top_labels=None,
        out=out,
        formats=("groups",),
        allow_url=allow_url,
        overwrite=overwrite,
    )
