"""Web server that runs an application until Ctrl-C."""

import asyncio
from collections.abc import Callable
from socket import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

SHUTDOWN_SECONDS = 10
"""Time that open requests have to end after Ctrl-C [s]."""


HEADER_SECONDS = 10
"""Time in which the headers of a request have to arrive, from the start of a connection [s]."""


class Connection(H11Protocol):
    """Connection that is closed unless whole headers arrive in time."""

    header_seconds: float = HEADER_SECONDS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first headers."""
        super().connection_made(transport)
        self._wait()

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
        is_idle = self.cycle is not None and self.cycle.response_complete
        if is_idle and self._deadline is None:
            self._wait()
        super().data_received(data)

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(self.header_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Server(uvicorn.Server):
    """Uvicorn server that tells the application when it stops, so that open pages are closed."""

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
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        super().__init__(config)
        self._state, self._on_start = app.state, on_start

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        if self.started:
            self._on_start(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start to stop."""
        self._state.is_stopping = True
        super().handle_exit(sig, frame)
