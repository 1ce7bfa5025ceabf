"""The bundled model exported, once for all tests: as it is and in whole numbers.

In a process of its own, where no shapes are checked while it traces. Its graphs are the same for
both, and tracing takes nearly all the time: they are traced once.
"""

import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

OPTIONS = {
    "exact": ("--scenes", "2", "--labels", "boat", "sea", "sky"),
    "int8": ("--precision", "int8", "--scenes", "4"),
}


def export(folder):
    """Writes a model folder for each of the options, and beside it what the command said."""
    done = subprocess.run(
        [sys.executable, __file__, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def trace_once(exporter):
    """The exporter, which gives for a graph of the same name what it gave before."""
    traced = {}

    def export_once(graph, given, file, **options):
        name = type(graph).__name__
        if name not in traced:
            exporter(graph, given, file, **options)
            traced[name] = file.read_bytes()
        file.write_bytes(traced[name])

    return export_once


def main(folder):
    import torch

    from groupvit.cli import main as groupvit

    torch.onnx.export = trace_once(torch.onnx.export)
    for name, options in OPTIONS.items():
        with (
            (folder / f"{name}.out").open("w") as out,
            (folder / f"{name}.err").open("w") as err,
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = groupvit(["export", "storybook", str(folder / name), *options])
        if code:
            sys.exit((folder / f"{name}.err").read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
