"""`groupvit convert`: weights of others into our checkpoint folder, or into Hugging Face's."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro

from groupvit.cli.models import load_model
from groupvit.cli.options import Flag


def convert(
    source: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="SOURCE")]],
    out: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]],
    /,
    *,
    to: Literal["groupvit", "huggingface"] = "groupvit",
    revision: str | None = None,
    overwrite: Flag = False,
) -> int:
    """Convert a model to a checkpoint folder.

    Args:
        source: A folder, a .safetensors, .bin or .pth file, a hub id such as
            nvidia/groupvit-gcc-yfcc, or a bundled name.
        out: The folder to write.
        to: Our layout (config.json, model.safetensors), or the one that transformers loads.
        revision: Branch, tag or commit of a model on the hub.
        overwrite: Replace the folder if it exists.
    """
    from rich.console import Console

    from groupvit.weights import catalogue, checkpoint, hugging_face

    console = Console(highlight=False)
    load = partial(catalogue.load, source, revision=revision)
    model, origin, inference, background = load_model(console, source, load)
    if to == "groupvit":
        checkpoint.save(
            out, model, origin, inference=inference, background=background, overwrite=overwrite
        )
    else:
        for name in hugging_face.save(out, model, overwrite=overwrite):
            console.print(f"left out, as that layout has no place for it: {name}")
    count = sum(parameter.numel() for parameter in model.parameters())
    console.print(f"{origin.source} ({origin.layout}), {count:,} parameters, is now {out}")
    return 0
