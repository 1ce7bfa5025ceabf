"""`groupvit serve`: a program that answers over HTTP."""

import os
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated

import tyro

from groupvit.cli.models import load_model
from groupvit.cli.options import ModelOptions
from groupvit.errors import InputError
from groupvit.serving.limits import Limits

TOKEN = "GROUPVIT_TOKEN"
"""The environment variable that holds what clients must know."""


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """What one client may ask for."""

    max_upload: int = 20
    """Of a request [MB]."""
    max_pixels: int = 40
    """Of an image [millions]."""
    max_labels: int = 200
    """Words for one image."""
    max_requests: int = 32
    """In work at once; one more is told to come back."""
    max_seconds: float = 60.0
    """For an answer, the wait included."""

    def limits(self) -> Limits:
        """The same as the server counts them."""
        return Limits(
            upload_bytes=self.max_upload * 1_000_000,
            pixels=self.max_pixels * 1_000_000,
            labels=self.max_labels,
            requests=self.max_requests,
            answer_seconds=self.max_seconds,
        )


def serve(
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    limits: Annotated[LimitOptions, tyro.conf.arg(name="")],
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    page: bool = True,
) -> int:
    """Answer over HTTP until Ctrl-C: a page for people, and an API for programs.

    The API is POST /v1/segment, POST /v1/embed and GET /v1/models; /openapi.json tells of it.

    Any address but that of this machine alone asks for a token in the environment variable
    GROUPVIT_TOKEN, which clients send as "Authorization: Bearer TOKEN".

    Args:
        options: Which model, and how it looks at images.
        limits: What one client may ask for.
        host: The address to answer at.
        port: The port, 0 to 65535; 0: one that is free.
        page: Whether to show the page; without it only the API answers.
    """
    token = os.environ.get(TOKEN) or None
    _check(host, port, token)
    try:
        from groupvit.serving.application import application
        from groupvit.serving.server import Server
    except ImportError as error:
        raise InputError(
            f"serving needs {error.name}; install it with pip install 'groupvit[demo]'"
        ) from None
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    segmenter = load_model(console, options.model, options.segmenter)
    app = application(
        segmenter,
        name=options.model,
        limits=limits.limits(),
        hosts=frozenset({"localhost", "127.0.0.1", "::1"}) if is_loopback(host) else None,
        token=token,
        page=page,
    )
    if not is_loopback(host):
        console.print("[yellow]others can reach this; put a proxy with TLS before it[/]")

    def tell(chosen: int) -> None:
        path = "" if page else "/v1/models"
        console.print(f"groupvit answers at http://{host}:{chosen}{path}; Ctrl-C ends it")

    Server(app, host=host, port=port, on_start=tell).run()
    return 0


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check(host: str, port: int, token: str | None) -> None:
    if not 0 <= port <= 65535:
        raise InputError(f"--port is {port}; give 0 to 65535")
    if token is None and not is_loopback(host):
        raise InputError(
            f"--host {host} lets others in; set the environment variable {TOKEN} to what they must "
            "know, or leave --host away"
        )
