"""Two processes under `torchrun`, started once for all test modules that need them.

Such a module defines `on_each_rank(folder)`: it runs on both ranks, opens its own
`distributed.session` and returns what the tests compare. With `before_ranks(folder)` it writes
files for it first. The tests read the results of both ranks from the fixture `both_ranks`.
"""

import importlib
import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
WORLD_SIZE = 2


def name_of(path):
    """The name to import a test module by."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def launch(folder, modules):
    """Runs the modules, given by name, one after the other on every rank."""
    for name, module in modules.items():
        (folder / name).mkdir()
        if hasattr(module, "before_ranks"):
            module.before_ranks(folder / name)
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={WORLD_SIZE}"]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    sessions = [f"{name}:{free_port()}" for name in modules]
    done = subprocess.run(
        [sys.executable, *torchrun, "-m", "tests.ranks", folder, *sessions],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def results(folder):
    """What `on_each_rank` of a module returned, by rank."""
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(WORLD_SIZE)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def main(folder, modules):
    torch.set_num_threads(1)
    # The store of torchrun still holds the addresses of the session before: each gets a new one.
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
    for name, os.environ["MASTER_PORT"] in (module.split(":") for module in modules):
        found = importlib.import_module(name).on_each_rank(folder / name)
        torch.save(found, folder / name / f"{os.environ['RANK']}.pt")


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(Path(sys.argv[1]), sys.argv[2:])
