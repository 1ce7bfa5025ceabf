"""Routes of the API."""

import io
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from fastapi import FastAPI, File, Form, Header, Response, UploadFile

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.result import Segmentation
from groupvit.serving.responses import EmbedResponse, ModelResponse, SegmentResponse
from groupvit.serving.service import Service
from groupvit.text.background import Background
from groupvit.text.prompts import split_words

Upload = Annotated[UploadFile, File(description="JPEG, PNG or WebP file.")]
Labels = Annotated[
    list[str],
    Form(
        description="Labels, one in each field or separated by commas; synonyms share a label: "
        'car|taxi; quotation marks keep a comma: "salt, pepper".'
    ),
]
Words = Annotated[list[str], Form(description="Words, one in each field or separated by commas.")]
View = Annotated[
    Literal["labels", "overlay", "groups"],
    Form(description="Image of the response, if the client accepts image/png."),
]
Threshold = Annotated[
    float | Literal["auto"] | None,
    Form(
        description="Background threshold: pixels below it get no label; `auto`: that of the model."
    ),
]
TopLabels = Annotated[
    int | None, Form(ge=1, description="Number of labels that are used, the best of the image.")
]
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request is no valid form."},
    401: {"description": "The token is missing or wrong."},
    403: {"description": "The request comes from a page of another site, or to another host name."},
    408: {"description": "The request took too long to arrive."},
    413: {"description": "The request is too large."},
    422: {"description": "An image, a label or an option is invalid; `detail` gives the reason."},
    429: {"description": "Too many requests at the same time; try again later."},
    503: {"description": "The server is stopping."},
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
        )
        app.add_api_route("/v1/embed", self.embed, methods=["POST"], responses=REFUSALS)
        app.add_api_route("/v1/models", self.models)
        app.add_api_route("/healthz", self.health, methods=["GET"])
        app.add_api_route("/healthz", self.health, methods=["HEAD"], include_in_schema=False)
        app.add_api_route("/metrics", self.metrics, response_class=Response)

    async def segment(
        self,
        image: Upload,
        labels: Labels,
        background: Threshold = None,
        background_words: Words = [],  # noqa: B006 - FastAPI copies it
        top_labels: TopLabels = None,
        view: View = "labels",
        accept: Annotated[str, Header()] = "",
    ) -> Any:
        """Segment an image by labels.

        The response is JSON with COCO run lengths, or a PNG if the client accepts image/png. Only
        JSON has the warnings about words that the model was not trained with.
        """
        background_settings = None
        self._service.limits.check_labels([*labels, *background_words])
        if background == "auto":
            usual = self._service.segmenter.default_background(labels)
            background_settings = replace(usual, words=tuple(background_words) or usual.words)
        elif background is not None or background_words:
            background_settings = Background(threshold=background, words=tuple(background_words))
        # Invalid labels are refused before any work on the image.
        parsed = self._service.segmenter.parse(labels, background_settings)

        def finish(grouped: GroupedImage | None) -> SegmentResponse | Response:
            assert grouped is not None
            result = self._service.segmenter.label(
                grouped, parsed, background=background_settings, top_labels=top_labels
            )
            if "image/png" in accept:
                return Response(_png(result, view), media_type="image/png")
            warnings = self._service.segmenter.known_words.warnings(parsed.words)
            return SegmentResponse.of(result, warnings)

        async with self._service.decoded(await image.read()) as pixels:
            return await self._service.compute(pixels, finish)

    async def embed(
        self,
        words: Words = [],  # noqa: B006 - FastAPI copies it
        image: Annotated[UploadFile | None, File(description="JPEG, PNG or WebP file.")] = None,
    ) -> EmbedResponse:
        """Embed words and an image in the space that they share; L2-normalized."""
        if not words and image is None:
            raise InputError("there is nothing to embed; give words, or an image")
        self._service.limits.check_labels(words)
        words = list(split_words(words))

        def finish(grouped: GroupedImage | None) -> EmbedResponse:
            segmenter = self._service.segmenter
            embeddings = segmenter.embed_words(words) if words else torch.empty(0)
            return EmbedResponse(
                words=dict(zip(words, embeddings.tolist(), strict=True)),
                image=None if grouped is None else _mean_embedding(grouped),
                warnings=segmenter.known_words.warnings(words),
            )

        if image is None:
            return await self._service.compute(None, finish)
        async with self._service.decoded(await image.read()) as pixels:
            return await self._service.compute(pixels, finish)

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
