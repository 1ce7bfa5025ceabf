"""Web server that runs an application until Ctrl-C."""

import asyncio
import os
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from socket import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

SHUTDOWN_SECONDS = 10
"""Time that running requests have to end after Ctrl-C or SIGTERM; new ones get 503 [s]."""
CLOSING_SECONDS = 1
"""Time that connections have to close after that [s]."""
BACKLOG = 16
"""Connections that wait to be accepted, and that are accepted in one turn of the event loop."""
RESERVED_FILES = 8
"""Files that stay available for other purposes than connections and uploads."""
HEADER_SECONDS = 10
"""Time in which the headers of a request have to arrive, from the start of a connection [s]."""


class Connection(H11Protocol):
    """Connection that is closed unless whole headers arrive in time."""

    header_seconds: float = HEADER_SECONDS
    _deadline: asyncio.TimerHandle | None = None
    _opened: float = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first headers; of too many connections, close the oldest idle."""
        super().connection_made(transport)
        self._opened = self.loop.time()
        self._wait()
        current = [
            one
            for one in self.connections
            if isinstance(one, Connection) and not one.transport.is_closing()
        ]
        if self.limit_concurrency is not None and len(current) >= self.limit_concurrency:
            idle = filter(attrgetter("is_idle"), current)  # at least this one
            min(idle, key=attrgetter("_opened")).transport.abort()

    @property
    def is_idle(self) -> bool:
        """True if no request is in progress."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Stop waiting once the headers of a request are complete."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        """Start to wait again with the first bytes of a further request."""
        if self.cycle is not None and self.is_idle and self._deadline is None:
            self._wait()
        super().data_received(data)

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(self.header_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def most_connections() -> int | None:
    """Connections that the limit of open files allows, each with a file for its upload.

    Without this bound, asyncio would try in vain to accept connections as fast as it can.

    Returns:
        At least 4; None where the system has no such limit.
    """
    if os.name != "posix":
        return None
    resource = import_module("resource")
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return None
    used = len(os.listdir("/dev/fd"))  # noqa: PTH208 - a path for each would be opened
    most: int = max(4, (limit - used - BACKLOG - RESERVED_FILES) // 2)
    return most


class Server(uvicorn.Server):
    """Uvicorn server that tells the application when it stops, so that new requests get 503."""

    def __init__(
        self, app: FastAPI, *, host: str, port: int, on_start: Callable[[int], object]
    ) -> None:
        """Make a server.

        Args:
            app: Application.
            host: Address to listen on.
            port: Port; 0: a free one.
            on_start: Called with the port once the server listens.
        """
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            http=Connection,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=CLOSING_SECONDS,
            backlog=BACKLOG,
            limit_concurrency=most_connections(),
        )
        super().__init__(config)
        self._state, self._on_start = app.state, on_start

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        if self.started:
            self._on_start(self.servers[0].sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Wait for running requests while new ones get 503, then close all connections."""
        self._state.is_stopping = True
        end = asyncio.get_running_loop().time() + SHUTDOWN_SECONDS
        while self.server_state.tasks and not self.force_exit:
            if asyncio.get_running_loop().time() > end:
                break
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start to stop."""
        self._state.is_stopping = True
        super().handle_exit(sig, frame)
