"""The application: what may be asked, and how it is answered."""

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import torch
from fastapi import (
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    Request,
    Response,
    UploadFile,
)
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.labels import parse
from groupvit.segmentation.result import Segmentation
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.answers import Embedded, Model, Segmented
from groupvit.serving.guard import Guard
from groupvit.serving.limits import Limits
from groupvit.serving.metrics import Metrics
from groupvit.serving.service import Service
from groupvit.text.background import Background

Upload = Annotated[UploadFile, File(description="A JPEG, PNG or WebP file.")]
Labels = Annotated[list[str], Form(description="Words; the field may be repeated.")]
View = Annotated[
    Literal["labels", "overlay", "groups"],
    Form(description="Which image is sent to those who accept image/png."),
]
Threshold = Annotated[float | None, Form(description="What lies below it is background.")]
Top = Annotated[int | None, Form(ge=1, description="At most this many labels.")]
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"description": told}
    for code, told in {
        400: "The request is no form.",
        401: "The token is missing or wrong.",
        403: "Called by a page or under a name of another site.",
        408: "The request took too long to arrive.",
        413: "The request is too large.",
        422: "An image or a label cannot be used; the sentence says why.",
        429: "Too many requests at once; come back.",
    }.items()
}


def application(
    segmenter: Segmenter,
    *,
    name: str,
    limits: Limits | None = None,
    hosts: frozenset[str] | None = None,
    token: str | None = None,
    page: bool = True,
) -> FastAPI:
    """The whole program as an ASGI application.

    Args:
        segmenter: The model; nothing else may use it meanwhile.
        name: What the model is called.
        limits: What a client may ask for.
        hosts: Names under which the program may be addressed; None: any.
        token: What clients must know; None: nothing.
        page: Whether people get a page at the root.
    """
    limits, metrics = limits or Limits(), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.desk = Service(segmenter, name, limits, metrics)
        yield
        await app.state.desk.close()

    app = FastAPI(title="groupvit", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.is_leaving = False
    app.add_api_route(
        "/v1/segment",
        segment,
        methods=["POST"],
        response_model=Segmented,
        responses=PNG | REFUSALS,
    )
    app.add_api_route(
        "/v1/embed", embed, methods=["POST"], response_model=Embedded, responses=REFUSALS
    )
    app.add_api_route("/v1/models", models, response_model=list[Model])
    app.add_api_route("/healthz", healthy, response_model=dict[str, str])
    app.add_api_route("/metrics", measured, response_class=Response)
    app.add_exception_handler(InputError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    if page:
        from groupvit.serving.page.mounting import mount

        mount(app, lambda: app.state.desk, segmenter, name=name, limits=limits)
    app.add_middleware(Guard, limits=limits, metrics=metrics, hosts=hosts, token=token)
    return app


def _service(request: Request) -> Service:
    desk: Service = request.app.state.desk
    return desk


Served = Annotated[Service, Depends(_service)]


async def segment(
    desk: Served,
    image: Upload,
    labels: Labels,
    background: Threshold = None,
    background_words: Labels = [],  # noqa: B006 - read as a description of the form only
    top_labels: Top = None,
    view: View = "labels",
    accept: Annotated[str, Header()] = "",
) -> Any:
    """Say which pixels of an image belong to which word.

    The answer is JSON with COCO run lengths, or an image for those who accept image/png.
    """
    behind = None
    if background is not None or background_words:
        behind = Background(threshold=background, words=tuple(background_words))
    desk.limits.check_words([*labels, *background_words])
    parsed = parse(labels, behind)  # mistakes in labels are found before the work on the image
    pixels = await desk.decoded(await image.read())

    def answer(grouped: GroupedImage | None) -> bytes | Segmented:
        assert grouped is not None
        found = desk.segmenter.label(grouped, parsed, background=behind, top_labels=top_labels)
        return _png(found, view) if "image/png" in accept else Segmented.of(found)

    found = await desk.computed(pixels, answer)
    return Response(found, media_type="image/png") if isinstance(found, bytes) else found


async def embed(
    desk: Served,
    words: Labels = [],  # noqa: B006 - read as a description of the form only
    image: Annotated[UploadFile | None, File(description="A JPEG, PNG or WebP file.")] = None,
) -> Embedded:
    """Words and an image in the space that they share; of length one."""
    if not words and image is None:
        raise InputError("nothing to embed; give words, or an image")
    desk.limits.check_words(words)
    pixels = None if image is None else await desk.decoded(await image.read())

    def answer(grouped: GroupedImage | None) -> Embedded:
        embeddings = desk.segmenter.embed_words(words) if words else torch.empty(0)
        return Embedded(
            words=dict(zip(words, embeddings.tolist(), strict=True)),
            image=None if grouped is None else _mean(grouped),
        )

    return await desk.computed(pixels, answer)


def _mean(grouped: GroupedImage) -> list[float]:
    """The mean embedding of the windows, of length one."""
    mean = torch.stack([window.embedding for window in grouped.windows]).mean(dim=0)
    values: list[float] = torch.nn.functional.normalize(mean, dim=0).tolist()
    return values


async def models(desk: Served) -> list[Model]:
    """The models that answer here: one."""
    return [Model.of(desk.name, desk.segmenter, desk.limits)]


async def healthy() -> dict[str, str]:
    """Whether the program answers."""
    return {"status": "ok"}


async def measured(desk: Served) -> Response:
    """Counts and times, as Prometheus reads them."""
    return Response(desk.metrics.page(), media_type="text/plain; version=0.0.4")


def _png(found: Segmentation, view: str) -> bytes:
    file = io.BytesIO()
    images = {
        "labels": found.to_index_image,
        "overlay": found.to_overlay,
        "groups": found.to_groups_image,
    }
    images[view]().save(file, "PNG")
    return file.getvalue()


async def _refused(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=422)


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    sentences: Sequence[str] = [
        f"{one['loc'][-1]}: {one['msg'][0].lower()}{one['msg'][1:]}" for one in error.errors()
    ]
    return JSONResponse({"detail": "; ".join(sentences)}, status_code=422)
