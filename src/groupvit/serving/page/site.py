"""Files of the page, served from memory with a strict content security policy."""

import gzip
import hashlib
from importlib.resources import files
from typing import NamedTuple

from fastapi import FastAPI, Request, Response

from groupvit.serving.page.examples import examples
from groupvit.serving.page.settings import PageSettings
from groupvit.serving.service import Service
from groupvit.version import VERSION

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Content security policy: no inline scripts or styles, and no requests to other hosts."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""Headers of all files; browsers ask by the entity tag if one has changed."""
COMPRESSED = ("text/", "application/json", "image/svg")
"""Beginnings of the media types that are compressed."""
FOLDER = "serving/page/static"
ROUTES = {"index.html": "/", "reference.html": "/reference"}
"""Paths of pages; other files have paths below `/static/`."""


class StoredFile(NamedTuple):
    """File in memory."""

    data: bytes
    media_type: str
    tag: str
    """Entity tag."""
    compressed: bytes | None
    """Its data as gzip, for text."""

    @classmethod
    def of(cls, data: bytes, media_type: str) -> "StoredFile":
        """File with its tag and its compressed data."""
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        is_text = media_type.startswith(COMPRESSED)
        compressed = gzip.compress(data, mtime=0) if is_text else None
        return cls(data, media_type, tag, compressed)

    async def response(self, request: Request) -> Response:
        """Response to a request: the file, or 304 if the client has it."""
        headers = {**HEADERS, "ETag": self.tag, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        if self.compressed is None or "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self.data, media_type=self.media_type, headers=headers)
        headers["Content-Encoding"] = "gzip"
        return Response(self.compressed, media_type=self.media_type, headers=headers)


class Site:
    """All files of the page by path."""

    def __init__(self, service: Service) -> None:
        self.files = {**_static_files(), **_loaded_files(service)}

    def add_to(self, app: FastAPI) -> None:
        """Serve each file at its path, behind the other routes of an application."""
        for path, file in self.files.items():
            app.add_route(path, file.response, include_in_schema=False)


def _static_files() -> dict[str, StoredFile]:
    found = {}
    for file in files("groupvit").joinpath(FOLDER).iterdir():
        media_type = MEDIA_TYPES[file.name.rpartition(".")[2]]
        path = ROUTES.get(file.name, f"/static/{file.name}")
        found[path] = StoredFile.of(file.read_bytes(), media_type)
    return found


def _loaded_files(service: Service) -> dict[str, StoredFile]:
    """Settings and examples."""
    shown = examples(scenes_first=service.name == "storybook")
    settings = PageSettings.of(service, VERSION, shown).model_dump_json().encode()
    found = {"/settings.json": StoredFile.of(settings, "application/json")}
    for one in shown:
        found[f"/examples/{one.name}"] = StoredFile.of(one.data, one.media_type)
        found[f"/examples/{one.name}.webp"] = StoredFile.of(one.thumbnail, "image/webp")
    return found
