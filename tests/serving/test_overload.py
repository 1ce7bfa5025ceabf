"""More connections, uploads and pixels than fit, and the end of a server with requests in work."""

import asyncio
import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from fastapi import HTTPException

from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.application import application
from groupvit.serving.limits import RequestLimits
from groupvit.serving.server import Server
from groupvit.serving.service import PixelBudget
from tests.data.pairs import encoded
from tests.serving.running import Running

HEAD = (
    b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    b"Content-Type: multipart/form-data; boundary=edge\r\n\r\n--edge"
)


def asked():
    return [("image", encoded(np.full((80, 80, 3), 90, np.uint8), "PNG")), ("labels", "dog")]


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load("storybook")


@pytest.fixture
def serve(segmenter):
    """Starts a server of `groupvit serve` in a thread; `handle_exit` stops it."""
    with contextlib.ExitStack() as stack:

        def serve(**limits):
            started, ports = threading.Event(), []

            def on_start(port):
                ports.append(port)
                started.set()

            app = application(
                segmenter, name="storybook", limits=RequestLimits(**limits), page=False
            )
            server = Server(app, host="127.0.0.1", port=0, on_start=on_start)
            thread = threading.Thread(target=server.run)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.handle_exit, signal.SIGTERM, None)
            started.wait()
            client = Running.__new__(Running)
            client.port = ports[0]
            return server, client

        yield serve


def connected(client, sent=b""):
    connection = socket.create_connection(("127.0.0.1", client.port), timeout=30)
    connection.sendall(sent)
    return connection


def test_of_too_many_uploads_the_first_are_refused(serve):
    _, client = serve(max_uploads=2)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(client, HEAD)) for _ in range(1)]
        for _ in range(3):
            time.sleep(0.1)
            slow.append(stack.enter_context(connected(client, HEAD)))
        for one in slow[:2]:
            assert b" 408 " in one.recv(4096)
        assert client.post("/v1/segment", asked()).status == 200
        assert b" 408 " in slow[2].recv(4096)
        slow[3].settimeout(0.2)
        with pytest.raises(TimeoutError):
            slow[3].recv(4096)


def test_idle_connections_make_place_for_others(serve):
    server, client = serve()
    server.config.limit_concurrency = 6
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(client)) for _ in range(20)]
        for _ in range(3):
            assert client.get("/healthz").status == 200
        assert idle[0].recv(1) == b""
        assert len(server.server_state.connections) <= 6


def test_a_server_that_stops_finishes_requests_and_refuses_new_ones(serve):
    server, client = serve(batch_wait=1.0)
    with ThreadPoolExecutor(1) as other, connected(client, HEAD) as slow:
        first = other.submit(client.post, "/v1/segment", asked())
        while b"in_progress 1.0" not in client.get("/metrics").body:
            time.sleep(0.01)
        server.handle_exit(signal.SIGTERM, None)
        time.sleep(0.3)
        refused = client.post("/v1/segment", asked())
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert client.get("/healthz").status == 503
        slow.sendall(b"x" * 994)
        assert b" 503 " in slow.recv(4096)
        assert first.result().status == 200


def test_pixels_in_work_are_bounded():
    current, most = [0], [0]

    async def work(budget, pixels):
        async with budget.taken(pixels):
            current[0] += pixels
            most[0] = max(most[0], current[0])
            await asyncio.sleep(0.01)
            current[0] -= pixels

    async def several():
        budget = PixelBudget(80, seconds=30.0)
        await asyncio.gather(*(work(budget, pixels) for pixels in [40, 1, 40, 30, 80, 2] * 3))
        async with budget.taken(80):
            short = PixelBudget(10, seconds=0.01)
            async with short.taken(5):
                with pytest.raises(HTTPException, match="429"):
                    await short.taken(6).__aenter__()

    asyncio.run(several())
    assert 70 <= most[0] <= 80


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_few_open_files_keep_nobody_out():
    server = subprocess.Popen(
        [sys.executable, "-m", "groupvit", "serve", "--model=storybook", "--port=0", "--no-page"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    )
    try:
        port = next(
            int(found[1]) for line in server.stdout if (found := re.search(r":(\d+)", line))
        )
        with contextlib.ExitStack() as stack:
            for _ in range(150):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            before, start = seconds_used(server.pid), time.monotonic()
            for _ in range(10):
                assert urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10).status == 200
                time.sleep(0.2)
            assert seconds_used(server.pid) - before < 0.5 * (time.monotonic() - start)
    finally:
        server.terminate()
        server.communicate(timeout=60)


def seconds_used(process):
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
