"""ASGI middleware for a proxy that serves the application under a path."""

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Prefix:
    """Removes the path of the proxy from requests, where the proxy itself does not."""

    def __init__(self, app: ASGIApp, *, root_path: str) -> None:
        """Wrap an application.

        Args:
            app: ASGI application.
            root_path: Path of the proxy, such as `/groupvit`.
        """
        self._app, self._root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application; addresses of the page are relative to the slash."""
        path = scope.get("path", "")
        if path == self._root_path:
            await RedirectResponse(f"{path}/")(scope, receive, send)
            return
        if path.startswith(f"{self._root_path}/"):
            scope = {**scope, "path": path.removeprefix(self._root_path)}
        await self._app(scope, receive, send)
