"""Peak memory of a segmentation: one large image and many words, in every format, and by the API.

    python benchmarks/memory.py --megapixels 12 --words 150

Every row is a process of its own, whose peak is that of Linux (VmHWM), with Python, torch and the
model in it. The last row sends a flat image of 40 megapixels from many clients at once.
"""

import argparse
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import Image

FORMATS = ("index", "overlay", "groups", "coco", "geojson", "npz")
"""Formats of `groupvit segment`."""
BOUNDARY = "memory-benchmark"
CODE = (
    "import sys, pathlib, re; from groupvit.cli import main; code = main(sys.argv[1:]); "
    "status = pathlib.Path('/proc/self/status').read_text(); "
    "print(re.search(r'VmHWM:\\s+(\\d+)', status)[1]); sys.exit(code)"
)
"""Command of groupvit that prints its peak; `ru_maxrss` would include that of its parent."""


def image_file(path: Path, megapixels: float, *, flat: bool = False) -> Path:
    """Write an image of 4:3 with waves and noise, or of one color."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(height * 4 / 3)
    if flat:
        Image.new("RGB", (width, height), (90, 120, 60)).save(path)
        return path
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = np.stack([np.sin(x / 90), np.sin(y / 70), np.sin((x + y) / 150)], axis=-1)
    noise = np.random.default_rng(0).normal(0, 12, waves.shape).astype(np.float32)
    Image.fromarray((127 + 100 * waves + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


def words(number: int) -> list[str]:
    """So many labels."""
    return [f"word {one}" for one in range(number)]


def peak_of_segment(image: Path, out: Path, number: int, form: str, model: str) -> int:
    """Peak of `groupvit segment` with so many labels and one format [bytes]."""
    arguments = ["segment", str(image), "--model", model, "--out", str(out), "--format", form]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments, "--labels", *words(number)],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout.split()[-1]) * 1024


@contextmanager
def served(model: str) -> Iterator[tuple[int, int]]:
    """Run `groupvit serve`; yields the id of its process and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["serve", "--model", model, "--port", str(port), "--no-page"]
    process = subprocess.Popen(
        [sys.executable, "-m", "groupvit", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
                break
            if process.poll() is not None:
                raise SystemExit("groupvit serve has ended")
            time.sleep(0.2)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait()


def peak_of_process(process: int) -> int:
    """Peak of a running process [bytes]."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) * 1024


def send(port: int, image: bytes, labels: Sequence[str]) -> int:
    """Status of the response to a request."""
    parts = [f'name="labels"\r\n\r\n{label}'.encode() for label in labels]
    parts.append(b'name="image"; filename="a"\r\n\r\n' + image)
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; ".encode()
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/segment",
        data=body,
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=300) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def peak_of_server(
    image: Path, number: int, model: str, *, clients: int = 1
) -> tuple[int, Counter[int]]:
    """Peak of the server [bytes], and how many responses had each status."""
    data = image.read_bytes()
    with served(model) as (process, port), ThreadPoolExecutor(clients) as threads:
        sent = [threads.submit(send, port, data, words(number)) for _ in range(clients)]
        statuses = Counter(one.result() for one in sent)
        return peak_of_process(process), statuses


def main() -> None:
    """Print a table of the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--words", type=int, default=150)
    parser.add_argument("--api-words", type=int, default=40)
    parser.add_argument("--clients", type=int, default=32, help="0: no flat images at once")
    parser.add_argument("--model", default="storybook")
    parser.add_argument("--formats", nargs="*", default=FORMATS)
    chosen = parser.parse_args()
    size = f"{chosen.megapixels:g} MP"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = image_file(folder / "image.jpg", chosen.megapixels)
        print("| image | words | result | peak memory [GB] |\n|---|---|---|---|", flush=True)
        for form in chosen.formats:
            found = peak_of_segment(image, folder / form, chosen.words, form, chosen.model)
            print(f"| {size} | {chosen.words} | {form} | {found / 1e9:.2f} |", flush=True)
        found, _ = peak_of_server(image, chosen.api_words, chosen.model)
        print(f"| {size} | {chosen.api_words} | API | {found / 1e9:.2f} |", flush=True)
        if chosen.clients:
            flat = image_file(folder / "flat.png", 39.9, flat=True)
            found, statuses = peak_of_server(flat, 2, chosen.model, clients=chosen.clients)
            counted = ", ".join(f"{number} x {code}" for code, number in sorted(statuses.items()))
            print(
                f"| 40 MP, flat, {chosen.clients} clients | 2 | API, {counted} "
                f"| {found / 1e9:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
