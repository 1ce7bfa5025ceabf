"""Two processes on this machine with the environment that `torchrun` sets."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
WORLD_SIZE = 2


def launch(script, folder):
    """Run `python script folder` on every rank; returns the `<rank>.pt` that each saved there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "WORLD_SIZE": str(WORLD_SIZE),
    }
    with ExitStack() as stack:
        logs = [folder / f"{rank}.log" for rank in range(WORLD_SIZE)]
        processes = [
            subprocess.Popen(
                [sys.executable, "-W", "error", str(script), str(folder)],
                env={**os.environ, **given, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=stack.enter_context(log.open("w")),
                stderr=subprocess.STDOUT,
            )
            for rank, log in enumerate(logs)
        ]
        for process in processes:
            stack.callback(process.wait)
            stack.callback(process.kill)  # called first; it does nothing to one that has ended
        codes = [process.wait(timeout=120) for process in processes]
    assert not any(codes), "".join(log.read_text() for log in logs)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(WORLD_SIZE)]
