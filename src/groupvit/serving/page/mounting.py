"""The page at the root of the application, and only as much of Gradio as it needs."""

import asyncio
from collections.abc import Callable
from importlib.resources import files

import gradio as gr
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import Limits
from groupvit.serving.page.blocks import build
from groupvit.serving.page.handlers import Handlers
from groupvit.serving.service import Service

EXACT = ("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/gradio_api/app_id")
BELOW = ("/assets/", "/static/", "/gradio_api/queue/", "/gradio_api/heartbeat/")
"""What the page asks for. Gradio's doors for files, addresses and proxies stay shut."""
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'self'"
)
"""Nothing comes from, or goes to, any other host; Gradio writes scripts into its page."""

PATIENCE = 0.5
"""How often an open page is asked whether the program ends [s]; each holds a connection."""


def mount(
    app: FastAPI,
    desk: Callable[[], Service],
    segmenter: Segmenter,
    *,
    name: str,
    limits: Limits,
) -> None:
    """Put the page behind whatever an application answers already.

    Args:
        app: The application.
        desk: Gives what computes, once it is open.
        segmenter: The model, which is asked what it goes by.
        name: What the model is called.
        limits: What a visitor may ask for.
    """
    page = build(Handlers(desk), segmenter, name=name, limits=limits)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        theme=theme(),
        css=(files("groupvit") / "serving" / "page" / "page.css").read_text("utf-8"),
    )
    mounted = app.routes[-1]
    assert isinstance(mounted, Mount)
    mounted.app = AllowedPaths(mounted.app, is_leaving=lambda: app.state.is_leaving)


def theme() -> gr.themes.Base:
    """Gradio's own look with the fonts of the visitor's machine, and grays that can be read."""
    plain = gr.themes.Default(
        primary_hue="blue",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return plain.set(
        body_text_color_subdued="*neutral_600",
        block_info_text_color="*neutral_600",
        block_title_text_color="*neutral_700",
    )


class AllowedPaths:
    """Lets through what the page needs, and tells browsers to stay with this host."""

    def __init__(self, app: ASGIApp, *, is_leaving: Callable[[], bool]) -> None:
        self._app, self._is_leaving = app, is_leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        path = scope.get("path", "")
        if path not in EXACT and not path.startswith(BELOW):
            await PlainTextResponse("there is nothing here", 404)(scope, receive, send)
            return

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        async def until_the_end() -> Message:
            while not self._is_leaving():
                try:
                    async with asyncio.timeout(PATIENCE):
                        return await receive()
                except TimeoutError:
                    pass
            return {"type": "http.disconnect"}

        await self._app(scope, until_the_end, with_policy)
