"""`groupvit groups`: the groups that a model finds in images, stage by stage."""

from pathlib import Path
from typing import Annotated

import tyro

from groupvit.cli.options import Flag, Images, ModelOptions, Words


def groups(
    images: Images,
    /,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    *,
    labels: Words = (),
    out: Path = Path("out"),
    overwrite: Flag = False,
) -> int:
    """Show the groups of every stage beside the image, and the words that they take.

    Args:
        images: Image files, folders, or patterns such as "photos/*.jpg".
        options: Which model, and how it looks at images.
        labels: Words that the groups may take; without any, only the groups are shown.
        out: Folder for the images that are written.
        overwrite: Replace files that exist.
    """
    from groupvit.cli.images import Request, work_through
    from groupvit.text.prompts import parse_labels

    if labels:
        parse_labels(labels)  # refuse bad words before anything is loaded
    request = Request(labels=labels, out=out, formats=("groups",), overwrite=overwrite)
    return work_through(images, options, request)
