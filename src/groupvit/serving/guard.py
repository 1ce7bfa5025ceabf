"""ASGI middleware that checks host, origin, token, size, time and number of requests."""

import asyncio
import base64
import hmac
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from groupvit.serving.limits import RequestLimits
from groupvit.serving.metrics import Metrics

PUBLIC_PATHS = ("/healthz",)
"""Paths that need no token."""
CHALLENGE = {"WWW-Authenticate": 'Bearer, Basic realm="groupvit", charset="UTF-8"'}
"""Programs send the token as Bearer; browsers prompt for it, as the password of any user."""


STOPPING = "the server is stopping; send the request to another one, or again later"
RETRY = {"Retry-After": "1"}
"""Header of responses to requests that find no place [s]."""


class Guard:
    """Refuses requests before their bodies are parsed."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: RequestLimits,
        metrics: Metrics,
        hosts: frozenset[str] | None,
        token: str | None,
        origins: frozenset[str] = frozenset(),
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wrap an application.

        Args:
            app: ASGI application.
            limits: Limits of requests.
            metrics: Metrics in which requests are counted.
            hosts: Host names that requests may be addressed to, against DNS rebinding; None: any.
            token: Token that clients have to send; None: none.
            origins: Origins, such as `https://example.org`, of other pages that may call.
            is_stopping: True once the server stops; then requests are refused, but for those whose
                bodies have arrived.
        """
        self._app, self._limits, self._metrics = app, limits, metrics
        self._is_stopping, self._uploads = is_stopping, _Uploads(limits.max_uploads)
        self._hosts, self._token = hosts, None if token is None else token.encode()
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._metrics.request(scope["method"], scope["path"]) as outcome:

            async def recording_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    outcome.status = message["status"]
                await send(message)

            refusal = self._refusal(scope["path"], scope["method"], Headers(scope=scope))
            if refusal is not None:
                await refusal(scope, receive, recording_send)
                return
            place = _Place(self._limits, self._metrics)
            upload = _Upload(asyncio.get_running_loop().time() + self._limits.upload_seconds)

            def on_arrival() -> None:
                self._uploads.remove(upload)
                if scope["method"] == "POST":
                    if self._is_stopping():
                        raise HTTPException(503, STOPPING, RETRY)
                    place.take()

            if scope["method"] == "POST":
                self._uploads.add(upload)
            try:
                await self._app(scope, self._limited(receive, upload, on_arrival), recording_send)
            finally:
                self._uploads.remove(upload)
                place.free()

    def _refusal(self, path: str, method: str, headers: Headers) -> JSONResponse | None:
        if self._is_stopping():
            return _refuse(503, STOPPING, RETRY)
        host = _host(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            return _refuse(403, f"{host!r} is no name of this server; use {min(self._hosts)}")
        origin = headers.get("origin")
        is_own = origin is None or origin in self._origins or _origin_host(origin) == host
        if method != "GET" and not is_own:
            return _refuse(403, f"pages of {origin!r} may not call this server")
        needed = None if path in PUBLIC_PATHS else self._token
        if needed is not None and not hmac.compare_digest(_token(headers), needed):
            return _refuse(401, "send the token as 'Authorization: Bearer ...'", CHALLENGE)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.max_upload_bytes:
            return _refuse(413, self._too_large())
        if method == "POST" and self._metrics.in_progress >= self._limits.max_requests:
            return _refuse(429, _busy(self._limits), RETRY)
        return None

    def _too_large(self) -> str:
        return f"the request is too large; the limit is {self._limits.max_upload_bytes:,} bytes"

    def _limited(
        self, receive: Receive, upload: "_Upload", on_arrival: Callable[[], object]
    ) -> Receive:
        """Limit the size and the time of a body, which comes in several messages.

        Args:
            receive: Receives a message.
            upload: The arrival of this body.
            on_arrival: Called when the body is complete.
        """
        size, is_complete = 0, False

        async def limited_receive() -> Message:
            nonlocal size, is_complete
            if is_complete:  # only http.disconnect can follow
                return await receive()
            try:
                async with asyncio.timeout_at(upload.end) as upload.timeout:
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the request took too long to arrive") from None
            finally:
                upload.timeout = None
            size += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if size > self._limits.max_upload_bytes:
                raise HTTPException(413, self._too_large())
            if is_complete:
                on_arrival()
            return message

        return limited_receive


class _Upload:
    """Arrival of a body."""

    def __init__(self, end: float) -> None:
        self.end = end
        """Time of the loop at which it has to be complete."""
        self.timeout: asyncio.Timeout | None = None

    def stop(self) -> None:
        """Let it end now."""
        self.end = 0.0
        if self.timeout is not None:
            self.timeout.reschedule(self.end)


class _Uploads:
    """Bodies that arrive now; slow ones make place for new ones."""

    def __init__(self, most: int) -> None:
        self._most, self._current = most, dict[_Upload, None]()

    def add(self, upload: _Upload) -> None:
        """Add one; of too many, the one that began first is stopped."""
        self._current[upload] = None
        if len(self._current) > self._most:
            first = next(iter(self._current))
            self.remove(first)
            first.stop()

    def remove(self, upload: _Upload) -> None:
        """Remove one that has ended, or was removed before."""
        self._current.pop(upload, None)


class _Place:
    """Place of a POST request among those in progress, taken once its body has arrived.

    Slow uploads take none, so that they keep nobody out.
    """

    def __init__(self, limits: RequestLimits, metrics: Metrics) -> None:
        self._limits, self._metrics, self._is_taken = limits, metrics, False

    def take(self) -> None:
        if self._metrics.in_progress >= self._limits.max_requests:
            raise HTTPException(429, _busy(self._limits), RETRY)
        self._metrics.count_in_progress(1)
        self._is_taken = True

    def free(self) -> None:
        if self._is_taken:
            self._metrics.count_in_progress(-1)


def _busy(limits: RequestLimits) -> str:
    return f"{limits.max_requests} requests are in progress; try again in a second"


def _origin_host(origin: str) -> str:
    """Host name of an origin; empty if it is no address."""
    try:
        return _host(urlsplit(origin).netloc)
    except ValueError:
        return ""


def _host(address: str) -> str:
    """Host name without the port."""
    try:
        return urlsplit(f"//{address}").hostname or ""
    except ValueError:
        return ""


def _token(headers: Headers) -> bytes:
    """Token in a request: of Bearer, or the password of Basic; empty if there is none."""
    kind, _, value = headers.get("authorization", "").strip().partition(" ")
    if kind.lower() != "basic":
        return value.strip().encode() if kind.lower() == "bearer" else b""
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except ValueError:  # characters that are no ASCII, or no base64
        return b""


def _refuse(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    # The rest of a body that is not read must not be parsed as the next request.
    return JSONResponse(
        {"detail": message}, status_code=status, headers={**(headers or {}), "Connection": "close"}
    )
