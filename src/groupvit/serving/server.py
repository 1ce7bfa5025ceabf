"""Runs an application until Ctrl-C."""

from collections.abc import Callable
from socket import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

GRACE = 10
"""How long Ctrl-C waits for what is being answered [s]."""


class Server(uvicorn.Server):
    """Tells the application that it is to end, so that it lets go of the pages that are open."""

    def __init__(
        self, app: FastAPI, *, host: str, port: int, on_start: Callable[[int], object]
    ) -> None:
        """Make it.

        Args:
            app: The application.
            host: The address to answer at.
            port: The port; 0: one that is free.
            on_start: Told the port once it answers.
        """
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        super().__init__(config)
        self._state, self._on_start = app.state, on_start

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self._on_start(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        self._state.is_leaving = True
        super().handle_exit(sig, frame)
