"""`groupvit verify`: digests of the files of a model, compared with those they should have."""

import sys
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from groupvit.errors import InputError
from groupvit.weights.packaged import DEFAULT

DIFFERENT = 1
"""Exit code where a file is not what it should be."""


def verify(
    model: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL")]] = DEFAULT,
    /,
    *,
    revision: str | None = None,
    sha256: str | None = None,
) -> int:
    """Compare the digests (SHA-256) of a model's files with those they should have.

    Known are the digests of bundled models, of what the hub's cache holds, and those in a file
    SHA256SUMS beside a model. The exit code is 1 if a file differs, 2 if no digest is known.

    Args:
        model: A bundled name (photos, storybook), a folder, a file of weights, or a hub id such as
            nvidia/groupvit-gcc-yfcc.
        revision: Branch, tag or commit of a model on the hub.
        sha256: Digest that the weights should have, from a source that you trust.
    """
    from groupvit.weights import file_digests

    files = file_digests.of_model(model, revision=revision)
    if not files:
        raise InputError(f"{model} is drawn at random and has no file; give another model")
    if sha256 is not None:
        files[-1] = files[-1]._replace(expected=sha256.strip().lower(), authority="--sha256")
    table = Table(box=None, padding=(0, 2))
    for column in ("file", "SHA-256", "compared with", "result"):
        table.add_column(column, overflow="fold")
    for file in files:
        outcome = "equal" if file.digest == file.expected else "DIFFERENT"
        table.add_row(
            file.name, file.digest, file.authority or "-", outcome if file.expected else "unknown"
        )
    Console(highlight=False, width=160 if not sys.stdout.isatty() else None).print(table)
    if files[-1].expected is None:
        raise InputError(
            f"no digest is known for {files[-1].path}; give that of its author with --sha256, or a "
            f"file {file_digests.SUMS_FILE} beside it"
        )
    is_equal = all(file.expected in (None, file.digest) for file in files)
    return 0 if is_equal else DIFFERENT
