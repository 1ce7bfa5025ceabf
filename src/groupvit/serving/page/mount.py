"""Mounting of the page: Gradio behind the API, with only the paths that the page needs."""

import asyncio
from collections.abc import Callable
from importlib.resources import files

import gradio as gr
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from groupvit.serving.page.blocks import build
from groupvit.serving.service import Service

PATHS = ("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/gradio_api/app_id")
PREFIXES = ("/assets/", "/static/", "/gradio_api/queue/", "/gradio_api/heartbeat/")
"""Paths that the page requests. Gradio's routes for files, URLs and proxies are not reachable."""
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'self'"
)
"""Content security policy: no requests to other hosts. Gradio's page has inline scripts."""
POLL_SECONDS = 0.5
"""Interval at which an open connection checks if the server stops [s]."""


def mount(app: FastAPI, service: Service) -> None:
    """Mount the page at `/`, behind the other routes of an application."""
    gr.mount_gradio_app(
        app,
        build(service),
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        theme=theme(),
        css=files("groupvit").joinpath("serving/page/page.css").read_text("utf-8"),
    )
    mounted = app.routes[-1]
    assert isinstance(mounted, Mount)
    mounted.app = AllowedPaths(mounted.app, is_stopping=lambda: app.state.is_stopping)


def theme() -> gr.themes.Base:
    """Gradio's default theme with system fonts, and grays of sufficient contrast."""
    default = gr.themes.Default(
        primary_hue="blue",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return default.set(
        body_text_color_subdued="*neutral_600",
        block_info_text_color="*neutral_600",
        block_title_text_color="*neutral_700",
    )


class AllowedPaths:
    """ASGI middleware that answers 404 to other paths, and sets a content security policy."""

    def __init__(self, app: ASGIApp, *, is_stopping: Callable[[], bool]) -> None:
        self._app, self._is_stopping = app, is_stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the page, or refuse it."""
        path = scope.get("path", "")
        if path not in PATHS and not path.startswith(PREFIXES):
            await PlainTextResponse("not found", 404)(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        async def receive_until_stop() -> Message:
            while not self._is_stopping():
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        return await receive()
                except TimeoutError:
                    pass
            return {"type": "http.disconnect"}

        await self._app(scope, receive_until_stop, send_with_policy)
