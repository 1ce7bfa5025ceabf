"""The server under load on this machine: 8 concurrent clients versus one.

    python -m benchmarks.serving

Starts a server; one client sends 200 images of 640 x 480 in sequence, then 8 clients send as many.
Every request must be answered, and memory must not grow.
"""

import io
import os
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

from benchmarks.contest import markdown

CLIENTS, REQUESTS = 8, 200
WARM_UP = 2
"""Rounds before memory is first measured."""
PORT = 7899
URL = f"http://127.0.0.1:{PORT}"
IMAGE = Path("examples/harbour.png")
LABELS = ("boat", "sea", "sky", "house")


def main() -> None:
    """Print a Markdown table, and the memory of the server before and after."""
    command = [sys.executable, "-m", "groupvit", "serve", "--port", str(PORT)]
    # As in docker/Dockerfile: each of glibc's heaps keeps freed memory, 8 of them for every core.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    for model in ("storybook", "random"):
        with subprocess.Popen([*command, "--model", model], env=environment) as server:
            try:
                _wait()
                for _ in range(WARM_UP):
                    _load(CLIENTS, REQUESTS)
                before = _memory(server.pid)
                rows = [_row(clients, *_load(clients, REQUESTS)) for clients in (1, CLIENTS)]
                print(f"\n{model}: {before:.0f} MB before, {_memory(server.pid):.0f} MB after\n")
                columns = ("clients", "answered", "images/s", "median [ms]", "p99 [ms]")
                print(markdown(columns, rows))
            finally:
                server.terminate()


def _wait() -> None:
    while True:
        try:
            urllib.request.urlopen(f"{URL}/healthz").read()
        except OSError:
            time.sleep(0.2)
        else:
            return


def _load(clients: int, count: int) -> tuple[list[float], float]:
    """Seconds of every request, and of all requests together."""
    body = _form()
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        times = list(pool.map(_ask, [body] * count))
    return times, time.perf_counter() - start


def _ask(body: bytes) -> float:
    kind = {"Content-Type": "multipart/form-data; boundary=edge"}
    start = time.perf_counter()
    request = urllib.request.Request(f"{URL}/v1/segment", data=body, headers=kind)
    with urllib.request.urlopen(request) as answer:
        answer.read()
    return time.perf_counter() - start


def _form() -> bytes:
    file = io.BytesIO()
    head = '--edge\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    file.write(head.format("image", '; filename="image"').encode())
    file.write(IMAGE.read_bytes() + b"\r\n")
    for label in LABELS:
        file.write((head.format("labels", "") + label + "\r\n").encode())
    file.write(b"--edge--\r\n")
    return file.getvalue()


def _row(clients: int, times: list[float], whole: float) -> list[str]:
    cuts = quantiles(times, n=100)
    return [
        str(clients),
        f"{len(times)} of {REQUESTS}",
        f"{len(times) / whole:.1f}",
        f"{1000 * cuts[49]:.0f}",
        f"{1000 * cuts[98]:.0f}",
    ]


def _memory(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
