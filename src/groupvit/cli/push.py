"""`groupvit push`: upload of a model and its card to the Hugging Face hub."""

from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from groupvit.cli.options import Flag
from groupvit.config import shown_default
from groupvit.errors import InputError


def push(
    source: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL")]],
    hub_id: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="OWNER/NAME")]],
    /,
    *,
    license: str,  # noqa: A002 - the hub calls it so
    evaluations: Annotated[tuple[Path, ...], tyro.conf.arg(help_behavior_hint=shown_default)] = (),
    to: Literal["groupvit", "huggingface"] = "groupvit",
    out: Path = Path("out/push"),
    private: Flag = False,
    send: Flag = False,
    overwrite: Flag = False,
) -> int:
    """Write a model and its card for the Hugging Face hub, and upload them if --send is given.

    Without --send nothing is uploaded: the folder is written, with a card (README.md) made from the
    checkpoint, for you to read and edit.

    Args:
        source: A bundled name, a folder, or a file of weights; for the folder of a run, the card
            lists its settings.
        hub_id: Repository on the hub, such as someone/my-groupvit.
        license: License of the weights, as the hub spells it: apache-2.0, cc-by-nc-4.0, other.
        evaluations: Output folders of groupvit evaluate for this model; their scores go into the
            card.
        to: Layout: this package's, or that of transformers.
        out: Parent of the folder, which has the model's name.
        private: Make the repository private.
        send: Upload the folder. An existing folder is uploaded unchanged, unless --overwrite is
            given.
        overwrite: Replace an existing folder.
    """
    from groupvit.weights import hub

    if not hub.is_hub_id(hub_id):
        raise InputError(f"{hub_id!r} is no repository on the hub; give OWNER/NAME")
    console = Console(highlight=False, soft_wrap=True)
    folder = out / hub_id.partition("/")[2]
    if not (send and folder.exists() and not overwrite):
        left_out = _write(folder, source, hub_id, license, evaluations, to, overwrite=overwrite)
        for name in left_out:
            console.print(f"left out, as that layout has no place for it: {name}")
    console.print(_table(folder))
    if send:
        with console.status(f"uploading to {hub_id}"):
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
        raise InputError(f"{source} is untrained; give a trained model")
    facts = Facts(
        hub_id=hub_id,
        license=license,
        loaded=loaded,
        layout=layout,
        training=writing.settings_of(source),
        evaluations=writing.read_evaluations(evaluations, loaded),
    )
    return writing.write(folder, facts, overwrite=overwrite)


def _table(folder: Path) -> Table:
    table = Table("file", "bytes", title=str(folder), title_justify="left")
    for file in sorted(folder.iterdir()):
        table.add_row(file.name, f"{file.stat().st_size:,}")
    return table
