"""Web server that runs an application until Ctrl-C."""

from collections.abc import Callable
from socket import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

SHUTDOWN_SECONDS = 10
"""Time that open requests have to end after Ctrl-C [s]."""


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
