"""A real S3 server on this machine that fails on demand, with a bucket."""

import threading
import time
from contextlib import contextmanager

import s3fs
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

STALL = 6
"""Time for which a stalled answer is held back [s]; longer than a test's read timeout."""


class Faults:
    """The server, which refuses some requests with 503 and cuts some answers in the middle."""

    def __init__(self, app):
        self._app = app
        self._requests = 0
        self._cuts_next = False
        self.every = 0
        self.stalls = 0
        self.forbidden = False
        self.refused = self.cut = self.stalled = 0

    def __call__(self, environ, start_response):
        self._requests += 1
        if self.forbidden:
            start_response("403 Forbidden", [("Content-Length", "0")])
            return []
        is_due = self.every and self._requests % self.every == 0
        self._cuts_next = self._cuts_next or (is_due and self.refused > self.cut)
        if self._cuts_next and environ["REQUEST_METHOD"] == "GET":
            self._cuts_next = False
            self.cut += 1
            return self._cut(self._app(environ, start_response))
        if self._cuts_next or not is_due:
            return self._app(environ, start_response)
        if self.stalled < self.stalls:
            self.stalled += 1
            time.sleep(STALL)
        self.refused += 1
        start_response("503 Slow Down", [("Content-Length", "0")])
        return []

    def end(self):
        """Answer every request from now on."""
        self.every, self.forbidden, self._cuts_next = 0, False, False

    @staticmethod
    def _cut(answer):
        body = b"".join(answer)
        yield body[: len(body) // 2]
        raise ConnectionAbortedError  # the declared length is never reached


@contextmanager
def bucket(monkeypatch):
    """The empty bucket `lake` as a file system, and what makes its server fail."""
    faults = Faults(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, faults, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir("lake")
    yield store, faults
    faults.end()
    store.rm("lake", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
    server.shutdown()
    server.server_close()
