"""The gate before every request: who may come in, how much they may bring, and how many at once."""

import asyncio
import base64
import binascii
import hmac
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from groupvit.serving.limits import Limits
from groupvit.serving.metrics import Metrics

OPEN = ("/healthz",)
"""What is answered without a token."""
CHALLENGE = {"WWW-Authenticate": 'Bearer, Basic realm="groupvit", charset="UTF-8"'}
"""Programs send the token as it is; browsers ask people for it, as a password of any name."""


class Guard:
    """Refuses what is too much, too slow or from elsewhere, before anything is parsed."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        metrics: Metrics,
        hosts: frozenset[str] | None,
        token: str | None,
    ) -> None:
        """Stand before an application.

        Args:
            app: What answers.
            limits: How much, how long, how many.
            metrics: Where requests are counted.
            hosts: Names under which the program may be addressed, lest another site's name leads
                here; None: any.
            token: What clients must know; None: nothing.
        """
        self._app, self._limits, self._metrics = app, limits, metrics
        self._hosts, self._token = hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._metrics.request(scope["method"], scope["path"]) as seen:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    seen.status = message["status"]
                await send(message)

            refusal = self._refusal(scope["path"], scope["method"], Headers(scope=scope))
            if refusal is not None:
                await refusal(scope, receive, noting)
                return
            await self._app(scope, self._bounded(receive), noting)

    def _refusal(self, path: str, method: str, headers: Headers) -> JSONResponse | None:
        host = _host(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            return _refuse(403, f"this program is not called {host!r}; use {min(self._hosts)}")
        origin = headers.get("origin")
        if method != "GET" and origin is not None and _host(urlsplit(origin).netloc) != host:
            return _refuse(403, f"pages of {origin!r} may not call this program")
        if self._token is not None and path not in OPEN and not self._knows(headers):
            return _refuse(401, "give the token as 'Authorization: Bearer ...'", CHALLENGE)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.upload_bytes:
            return _refuse(413, self._too_large())
        if method == "POST" and self._metrics.in_work > self._limits.requests:
            busy = f"{self._limits.requests} requests are in work; come back in a second"
            return _refuse(429, busy, {"Retry-After": "1"})
        return None

    def _knows(self, headers: Headers) -> bool:
        given = _token(headers.get("authorization", ""))
        return hmac.compare_digest(given, (self._token or "").encode())

    def _too_large(self) -> str:
        return f"the request is too large; at most {self._limits.upload_bytes:,} bytes are taken"

    def _bounded(self, receive: Receive) -> Receive:
        """The body piece by piece, within its size and time."""
        end = time.monotonic() + self._limits.upload_seconds
        taken, is_complete = 0, False

        async def bounded() -> Message:
            nonlocal taken, is_complete
            if is_complete:  # only a farewell of the client can come
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, end - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the request took too long to arrive") from None
            taken += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if taken > self._limits.upload_bytes:
                raise HTTPException(413, self._too_large())
            return message

        return bounded


def _host(address: str) -> str:
    """The name without the port."""
    try:
        return urlsplit(f"//{address}").hostname or ""
    except ValueError:
        return ""


def _token(authorization: str) -> bytes:
    """What a client says it knows."""
    kind, _, value = authorization.strip().partition(" ")
    if kind.lower() != "basic":
        return value.strip().encode() if kind.lower() == "bearer" else b""
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _refuse(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    # The rest of a body that nobody reads must not be taken for the next request.
    return JSONResponse(
        {"detail": sentence}, status_code=status, headers={**(headers or {}), "Connection": "close"}
    )
