"""`groupvit push`: a model and its card to the Hugging Face hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from groupvit.cli.options import Flag
from groupvit.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table


def push(
    source: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL")]],
    hub_id: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="OWNER/NAME")]],
    /,
    *,
    license: str,  # noqa: A002 - the hub calls it so
    evaluations: tuple[Path, ...] = (),
    to: Literal["groupvit", "huggingface"] = "groupvit",
    out: Path = Path("out/push"),
    private: Flag = False,
    send: Flag = False,
    overwrite: Flag = False,
) -> int:
    """Prepare a model for the Hugging Face hub, and send it if --send is given.

    Without --send nothing leaves this machine: the folder is written, with a card (README.md) that
    tells what the checkpoint records of itself, for you to read and mend.

    Args:
        source: A bundled name, a folder (that of a run knows its recipe), or a file of weights.
        hub_id: Where it goes, such as someone/groupvit-of-mine.
        license: Of the weights, as the hub spells it: apache-2.0, cc-by-nc-4.0, other.
        evaluations: Folders that groupvit evaluate --out wrote of this model; their scores go into
            the card.
        to: Our layout, or the one that transformers loads.
        out: Where the folder is written, under the model's name.
        private: Only you see it on the hub.
        send: Send the folder; without it, it is only written. One that is there is sent as it is,
            unless --overwrite is given.
        overwrite: Write the folder anew if it is there.
    """
    from rich.console import Console

    from groupvit.weights import hub

    if not hub.is_hub_id(hub_id):
        raise InputError(f"{hub_id!r} is no name on the hub; give OWNER/NAME")
    console = Console(highlight=False, soft_wrap=True)
    folder = out / hub_id.partition("/")[2]
    if not (send and folder.exists() and not overwrite):
        left_out = _write(folder, source, hub_id, license, evaluations, to, overwrite=overwrite)
        for name in left_out:
            console.print(f"left out, as that layout has no place for it: {name}")
    console.print(_table(folder))
    if send:
        with console.status(f"sending to {hub_id}"):
            address = hub.send(folder, hub_id, private=private)
        console.print(f"sent: {address}")
    else:
        console.print(f"nothing was sent; read {folder / 'README.md'}, then add --send")
    return 0


def _write(
    folder: Path,
    source: str,
    hub_id: str,
    license: str,  # noqa: A002 - the hub calls it so
    evaluations: tuple[Path, ...],
    layout: Literal["groupvit", "huggingface"],
    *,
    overwrite: bool,
) -> list[str]:
    from groupvit.publishing import writing
    from groupvit.publishing.card import Facts
    from groupvit.weights import catalogue, checkpoint

    checkpoint.check_free(folder, overwrite=overwrite)
    loaded = catalogue.load(source)
    if not loaded.origin.trained:
        raise InputError(f"{source} is untrained; give a model that has learned something")
    facts = Facts(
        hub_id=hub_id,
        license=license,
        loaded=loaded,
        layout=layout,
        training=writing.settings_of(source),
        evaluations=writing.read_evaluations(evaluations, loaded),
    )
    return writing.write(folder, facts, overwrite=overwrite)


def _table(folder: Path) -> "Table":
    from rich.table import Table

    table = Table("file", "bytes", title=str(folder), title_justify="left")
    for file in sorted(folder.iterdir()):
        table.add_row(file.name, f"{file.stat().st_size:,}")
    return table
