"""OpenAPI description of the API, from which programs generate clients."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from groupvit.serving.guard import PUBLIC_PATHS


def schema(app: FastAPI, *, has_token: bool) -> dict[str, Any]:
    """OpenAPI description: files are `format: binary`, and a token is a security scheme.

    Args:
        app: Application.
        has_token: True if clients have to send a token.
    """
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, routes=app.routes)
        _mark_files(found)
        if has_token:
            _add_token(found)
        app.openapi_schema = found
    return app.openapi_schema


def _mark_files(value: Any) -> None:
    """Add the `format` by which generators of clients recognize files."""
    if isinstance(value, dict):
        if value.get("contentMediaType") == "application/octet-stream":
            del value["contentMediaType"]
            value["format"] = "binary"
        for inner in value.values():
            _mark_files(inner)
    elif isinstance(value, list):
        for inner in value:
            _mark_files(inner)


def _add_token(found: dict[str, Any]) -> None:
    schemes = found.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["token"] = {"type": "http", "scheme": "bearer"}
    found["security"] = [{"token": []}]
    for path in PUBLIC_PATHS:
        for operation in found["paths"].get(path, {}).values():
            operation["security"] = []
