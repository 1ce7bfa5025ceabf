"""OpenAPI description of the API, from which programs generate clients."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from groupvit.serving.guard import PUBLIC_PATHS


def schema(app: FastAPI, *, has_token: bool, root_path: str) -> dict[str, Any]:
    """OpenAPI description, in which a token is a security scheme.

    Args:
        app: Application.
        has_token: True if clients have to send a token.
        root_path: Path under which a proxy serves the application.
    """
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            routes=app.routes,
            servers=[{"url": root_path}] if root_path else None,
        )
        if has_token:
            _add_token(found)
        app.openapi_schema = found
    return app.openapi_schema


def _add_token(found: dict[str, Any]) -> None:
    schemes = found.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["token"] = {"type": "http", "scheme": "bearer"}
    found["security"] = [{"token": []}]
    for path in PUBLIC_PATHS:
        for operation in found["paths"].get(path, {}).values():
            operation["security"] = []
