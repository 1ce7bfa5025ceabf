"""`groupvit groups`: the groups that a model finds in pictures, stage by stage."""

from pathlib import Path
from typing import Annotated

import tyro

from groupvit.cli.options import Flag, ModelOptions, Pictures, Words


def groups(
    images: Pictures,
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    labels: Words = (),
    out: Path = Path("out"),
    overwrite: Flag = False,
) -> int:
    """Show the groups of every stage beside the picture, and the words that they take.

    Args:
        images: Picture files, folders, or patterns such as "photos/*.jpg".
        options: Which model, and how it looks at pictures.
        labels: Words that the groups may take; without any, only the groups are shown.
        out: Folder for the pictures that are written.
        overwrite: Replace files that exist.
    """
    from groupvit.cli.pictures import Request, work_through
    from groupvit.text.prompts import parse_labels

    if labels:
        parse_labels(labels)  # refuse bad words before anything is loaded
    request = Request(labels=labels, out=out, formats=("groups",), overwrite=overwrite)
    return work_through(images, options, request)
