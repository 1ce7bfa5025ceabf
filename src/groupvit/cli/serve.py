"""`groupvit serve`: an HTTP server with a web page and an API."""

import errno
import os
import re
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated

import tyro

from groupvit.cli.models import load_model
from groupvit.cli.options import ModelOptions
from groupvit.config import shown_default
from groupvit.errors import InputError
from groupvit.serving.limits import RequestLimits

TOKEN = "GROUPVIT_TOKEN"
"""Environment variable of the token that clients have to send."""
Origins = Annotated[
    tuple[str, ...],
    tyro.conf.arg(metavar="ORIGIN [ORIGIN ...]", help_behavior_hint=shown_default),
]


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """Limits of requests."""

    max_upload: int = 20
    """Size of a request [MB]."""
    max_pixels: int = 40
    """Size of an image [million pixels]."""
    max_labels: int = 200
    """Number of labels for one image."""
    max_requests: int = 32
    """Number of requests in progress; further ones get status 429."""
    max_seconds: float = 60.0
    """Time for an answer, from the arrival of the request [s]."""
    session_memory: int = 300
    """Memory of the images and groups that are kept for the page and /v1/label [MB]."""
    session_minutes: float = 15.0
    """Time after their last use for which they are kept [minutes]."""

    def limits(self) -> RequestLimits:
        """Limits in the units of the server."""
        return RequestLimits(
            max_upload_bytes=self.max_upload * 1_000_000,
            max_pixels=self.max_pixels * 1_000_000,
            max_labels=self.max_labels,
            max_requests=self.max_requests,
            answer_seconds=self.max_seconds,
            max_session_bytes=self.session_memory * 1_000_000,
            session_seconds=self.session_minutes * 60,
        )


def serve(
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    limits: Annotated[LimitOptions, tyro.conf.arg(name="")],
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    root_path: str = "",
    cors_origin: Origins = (),
    page: bool = True,
) -> int:
    """Run an HTTP server with a web page and an API until Ctrl-C.

    The API has POST /v1/segment, /v1/group, /v1/label, /v1/assignment and /v1/embed, and GET
    /v1/models; /openapi.json describes it, and so does the page at /reference.

    A server that other machines can reach needs a token in the environment variable
    GROUPVIT_TOKEN, which clients send as "Authorization: Bearer TOKEN".

    Args:
        options: Model and its settings.
        limits: Limits of requests.
        host: Address to listen on.
        port: Port, 0 to 65535; 0: a free one.
        root_path: Path under which a proxy serves the page and the API, such as /groupvit.
        cors_origin: Origins of other sites whose pages may call the API, such as
            https://example.org, separated by spaces.
        page: Serve the web page; --no-page: only the API.
    """
    token = os.environ.get(TOKEN) or None
    _check(host, port, token)
    _check_root_path(root_path)
    origins = frozenset(map(_origin, cors_origin))
    _check_free(host, port)
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
        origins=origins,
        root_path=root_path,
        page=page,
    )
    if not is_loopback(host):
        console.print("[yellow]other machines can reach this server; use a proxy with TLS[/]")

    def on_start(port: int) -> None:
        path = "" if page else "/v1/models"
        console.print(f"groupvit runs at http://{host}:{port}{path}; Ctrl-C stops it")

    Server(app, host=host, port=port, on_start=on_start).run()
    return 0


def is_loopback(host: str) -> bool:
    """True if only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on, before the model is loaded."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            if os.name == "posix":  # as asyncio does; elsewhere it would share a port in use
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} is in use by another program; "
                "give another --port, or 0 for a free one"
            ) from None
        raise InputError(
            f"the server cannot listen on {host}, port {port}: {error.strerror or error}; "
            "give another --host or --port"
        ) from None


def _check(host: str, port: int, token: str | None) -> None:
    if not 0 <= port <= 65535:
        raise InputError(f"--port is {port}; give 0 to 65535")
    if token is None and not is_loopback(host):
        raise InputError(
            f"--host {host} can be reached by other machines; set the environment variable {TOKEN} "
            "to a secret that clients send, or remove --host"
        )


def _check_root_path(path: str) -> None:
    if path and not re.fullmatch(r"(/[\w.~-]+)+", path, re.ASCII):
        raise InputError(
            f"--root-path is {path!r}; give a path without a slash at its end: /groupvit"
        )


def _origin(given: str) -> str:
    """Origin as browsers send it: in lower case, without a path."""
    found = re.fullmatch(r"(https?://[a-z0-9.-]+(:\d{1,5})?)/?", given.lower())
    if found is None:
        raise InputError(
            f"--cors-origin {given!r} is no origin; give scheme, host and port: https://example.org"
        )
    return found[1]
