"""`groupvit convert`: weights in another layout."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from groupvit.cli.models import load_model
from groupvit.cli.options import Flag
from groupvit.errors import InputError


def convert(
    source: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="SOURCE")]],
    out: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]],
    /,
    *,
    to: Literal["groupvit", "huggingface"] = "groupvit",
    revision: str | None = None,
    heads: int | None = None,
    half: Flag = False,
    overwrite: Flag = False,
) -> int:
    """Write a model as a checkpoint folder, in the layout of this package or of transformers.

    Args:
        source: A folder, a .safetensors, .bin or .pth file, a hub id such as
            nvidia/groupvit-gcc-yfcc, or a bundled name.
        out: Folder to write.
        to: Layout: this package's (config.json, model.safetensors), or that of transformers.
        revision: Branch, tag or commit of a model on the hub.
        heads: Attention heads of the image encoder, for an original .pth file that does not hold
            its settings.
        half: Write matrices and kernels in half precision, about half as large; in this package's
            layout only.
        overwrite: Replace the folder if it exists.
    """
    from groupvit.text.coverage import Coverage
    from groupvit.weights import catalogue, checkpoint, hugging_face

    if half and to != "groupvit":
        raise InputError(f"--half does not apply to the layout {to!r}; leave out one of them")
    console = Console(highlight=False)
    load = partial(catalogue.load, source, revision=revision, heads=heads)
    model, origin, inference, background, coverage = load_model(console, source, load)
    if to == "groupvit":
        checkpoint.save(
            out,
            model,
            origin,
            inference=inference,
            background=background,
            coverage=coverage,
            half=half,
            overwrite=overwrite,
        )
    else:
        left_out = hugging_face.save(out, model, overwrite=overwrite)
        for name in [*left_out, *(["domain and words"] if coverage != Coverage() else [])]:
            console.print(f"left out, as that layout has no place for it: {name}")
    count = sum(parameter.numel() for parameter in model.parameters())
    console.print(f"{origin.source} ({origin.layout}), {count:,} parameters, is now {out}")
    return 0
