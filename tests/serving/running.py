"""An application that runs on a free port of this machine, and how to ask it."""

import json
import threading
import time
import urllib.error
import urllib.request
from typing import NamedTuple

import uvicorn

from groupvit.serving.server import Connection


class Reply(NamedTuple):
    status: int
    headers: dict
    body: bytes

    def values(self):
        return json.loads(self.body)


class Running:
    """An application on a free port of this machine."""

    def __init__(self, make):
        """Start what is made within the loop that runs it."""
        config = uvicorn.Config(make, factory=True, port=0, http=Connection, log_level="error")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the application could not be made, or not started"
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def close(self):
        self._server.should_exit = True
        self._thread.join()

    def get(self, path, **headers):
        return self._ask(urllib.request.Request(self._url(path), headers=_dashed(headers)))

    def post(self, path, fields, **headers):
        body, kind = form(fields)
        return self.send(path, body, kind, **headers)

    def send(self, path, body, kind, **headers):
        request = urllib.request.Request(
            self._url(path), data=body, headers={"Content-Type": kind, **_dashed(headers)}
        )
        return self._ask(request)

    def options(self, path, **headers):
        return self._ask(
            urllib.request.Request(self._url(path), headers=_dashed(headers), method="OPTIONS")
        )

    def _url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def _ask(self, request):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Reply(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as answer:
            with answer:
                return Reply(answer.code, dict(answer.headers), answer.read())


def _dashed(headers):
    return {name.replace("_", "-"): value for name, value in headers.items()}


def form(fields):
    """Fields, or files where the value is bytes, as a multipart body."""
    parts = []
    for name, value in fields:
        is_file = isinstance(value, bytes)
        told = f'; filename="{name}"' if is_file else ""
        head = f'--edge\r\nContent-Disposition: form-data; name="{name}"{told}\r\n\r\n'
        parts.append(head.encode() + (value if is_file else value.encode()) + b"\r\n")
    return b"".join(parts) + b"--edge--\r\n", "multipart/form-data; boundary=edge"
