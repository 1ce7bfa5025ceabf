"""Routes of the API that answer with one request each."""

import io
from collections.abc import Callable
from typing import Annotated, Any

import torch
from fastapi import FastAPI, Header, Request, Response

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.result import Segmentation
from groupvit.serving import requests
from groupvit.serving.requests import EmbedRequest, LabelSettings, SegmentRequest
from groupvit.serving.responses import EmbedResponse, ModelResponse, SegmentResponse
from groupvit.serving.service import Service
from groupvit.text.prompts import split_words

PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request is no valid form."},
    401: {"description": "The token is missing or wrong."},
    403: {"description": "The request comes from a page of another site, or to another host name."},
    408: {"description": "The request took too long to arrive."},
    413: {"description": "The request is too large."},
    415: {"description": "The body is neither a form nor JSON."},
    422: {"description": "An image, a label or an option is invalid; `detail` gives the reason."},
    429: {"description": "Too many requests at the same time; try again later."},
    503: {"description": "The server is stopping."},
}
ENDED: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such session, or no longer; send the image again."}
}


class Routes:
    """Routes of the API, which answer by a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def add_to(self, app: FastAPI) -> None:
        """Add the routes to an application."""
        app.add_api_route(
            "/v1/segment",
            self.segment,
            methods=["POST"],
            response_model=SegmentResponse,
            responses=PNG | REFUSALS,
            openapi_extra=requests.described(SegmentRequest),
        )
        app.add_api_route(
            "/v1/embed",
            self.embed,
            methods=["POST"],
            responses=REFUSALS,
            openapi_extra=requests.described(EmbedRequest),
        )
        app.add_api_route("/v1/models", self.models)
        app.add_api_route("/healthz", self.health, methods=["GET"])
        app.add_api_route("/healthz", self.health, methods=["HEAD"], include_in_schema=False)
        app.add_api_route("/metrics", self.metrics, response_class=Response)

    async def segment(self, request: Request, accept: Annotated[str, Header()] = "") -> Any:
        """Segment an image by labels.

        The response is JSON with COCO run lengths, or a PNG if the client accepts image/png. Only
        JSON has the warnings about words that the model was not trained with.
        """
        body = await requests.read(request, SegmentRequest)
        # Invalid labels are refused before any work on the image.
        finish = segmented(self._service, body, body.view, accept)
        async with self._service.decoded(body.image) as pixels:
            return await self._service.group(pixels, finish)

    async def embed(self, request: Request) -> EmbedResponse:
        """Embed words and an image in the space that they share; L2-normalized."""
        body = await requests.read(request, EmbedRequest)
        if not body.words and body.image is None:
            raise InputError("there is nothing to embed; give words, or an image")
        self._service.limits.check_labels(body.words)
        words = list(split_words(body.words))

        def finish(grouped: GroupedImage | None = None) -> EmbedResponse:
            segmenter = self._service.segmenter
            embeddings = segmenter.embed_words(words) if words else torch.empty(0)
            return EmbedResponse(
                words=dict(zip(words, embeddings.tolist(), strict=True)),
                image=None if grouped is None else _mean_embedding(grouped),
                warnings=segmenter.known_words.warnings(words),
            )

        if body.image is None:
            return await self._service.compute(finish)
        async with self._service.decoded(body.image) as pixels:
            return await self._service.group(pixels, finish)

    async def models(self) -> list[ModelResponse]:
        """List the models of this server: one."""
        service = self._service
        return [ModelResponse.of(service.name, service.segmenter, service.limits)]

    async def health(self) -> dict[str, str]:
        """Report that the server runs."""
        return {"status": "ok"}

    async def metrics(self) -> Response:
        """Report counts and times in Prometheus's text format."""
        return Response(self._service.metrics.text(), media_type="text/plain; version=0.0.4")


def segmented(
    service: Service, settings: LabelSettings, view: str, accept: str
) -> Callable[[GroupedImage], SegmentResponse | Response]:
    """Function that labels a grouped image, and makes the response of the type that is accepted.

    Raises:
        InputError: The labels or the background are invalid.
    """
    labels, background = service.parsed(settings)

    def finish(grouped: GroupedImage) -> SegmentResponse | Response:
        result = service.segmenter.label(
            grouped, labels, background=background, top_labels=settings.top_labels
        )
        if "image/png" in accept:
            return Response(_png(result, view), media_type="image/png")
        return SegmentResponse.of(result, service.segmenter.known_words.warnings(labels.words))

    return finish


def _mean_embedding(grouped: GroupedImage) -> list[float]:
    """Mean embedding of the windows, L2-normalized."""
    mean = torch.stack([window.embedding for window in grouped.windows]).mean(dim=0)
    values: list[float] = torch.nn.functional.normalize(mean, dim=0).tolist()
    return values


def _png(result: Segmentation, view: str) -> bytes:
    file = io.BytesIO()
    images = {
        "labels": result.to_index_image,
        "overlay": result.to_overlay,
        "groups": result.to_groups_image,
    }
    images[view]().save(file, "PNG")
    return file.getvalue()
