"""Routes of the API on sessions: an image is grouped once, and labeled any number of times."""

import io
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Header, Request, Response
from PIL import Image

from groupvit.serving import requests
from groupvit.serving.maps import label_map_of, labels_of, names_of
from groupvit.serving.requests import (
    AssignmentRequest,
    GroupRequest,
    LabelRequest,
    SegmentSessionRequest,
)
from groupvit.serving.responses import GroupResponse, LabelResponse, SegmentResponse
from groupvit.serving.routes import ENDED, PNG, REFUSALS, segmented
from groupvit.serving.service import Service
from groupvit.serving.sessions import Session


class SessionRoutes:
    """Routes on sessions, which answer by a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def add_to(self, app: FastAPI) -> None:
        """Add the routes to an application."""
        app.add_api_route(
            "/v1/group",
            self.group,
            methods=["POST"],
            responses=REFUSALS,
            openapi_extra=requests.described(GroupRequest),
        )
        app.add_api_route(
            "/v1/label",
            self.label,
            methods=["POST"],
            responses=ENDED | REFUSALS,
            openapi_extra=requests.described(LabelRequest),
        )
        app.add_api_route(
            "/v1/segment_session",
            self.segment,
            methods=["POST"],
            response_model=SegmentResponse,
            responses=PNG | ENDED | REFUSALS,
            openapi_extra=requests.described(SegmentSessionRequest),
        )
        app.add_api_route(
            "/v1/assignment",
            self.assignment,
            methods=["POST"],
            response_class=Response,
            responses=PNG | ENDED | REFUSALS,
            openapi_extra=requests.described(AssignmentRequest),
        )

    async def group(self, request: Request) -> GroupResponse:
        """Group an image, and keep its groups in a session, which labels need no network for."""
        body = await requests.read(request, GroupRequest)
        sessions = self._service.sessions
        digest = sessions.digest(body.image)
        session = sessions.find(digest)
        if session is None:
            async with self._service.decoded(body.image) as pixels:
                session = await self._service.group(pixels, Session.of)
            sessions.put(digest, session)
        height, width = session.original.size
        return GroupResponse(
            session=digest,
            seconds=self._service.limits.session_seconds,
            height=height,
            width=width,
            stages=list(session.stages),
        )

    async def label(self, request: Request) -> LabelResponse:
        """Label the groups of a session; maps have a size for screens."""
        body = await requests.read(request, LabelRequest)
        service, segmenter = self._service, self._service.segmenter
        session = service.sessions.get(body.session)
        labels, background = service.parsed(body)

        def finish() -> LabelResponse:
            result = segmenter.label(
                session.displayed, labels, background=background, top_labels=body.top_labels
            )
            stages = range(session.displayed.num_stages)
            # Without the words of the background that the model itself recommends.
            own = segmenter.parse([*body.labels, *body.background_words]).words
            return LabelResponse(
                labels=labels_of(result),
                has_background=result.has_background,
                map=label_map_of(result),
                names=names_of(result),
                group_labels=[list(result.group_labels(stage)) for stage in stages],
                unknown={
                    word: list(near) for word, near in segmenter.known_words.unknown(own).items()
                },
                warnings=segmenter.known_words.warnings(own),
            )

        return await service.compute(finish)

    async def segment(self, request: Request, accept: Annotated[str, Header()] = "") -> Any:
        """Segment the image of a session, in its own size; the response is that of /v1/segment."""
        body = await requests.read(request, SegmentSessionRequest)
        grouped = self._service.sessions.get(body.session).original
        finish = segmented(self._service, body, body.view, accept)
        return await self._service.compute(lambda: finish(grouped))

    async def assignment(self, request: Request) -> Response:
        """Draw the soft assignment to one group of a session, as a gray PNG: 255 is a share of 1.

        It has a size for screens, and is not refined.
        """
        body = await requests.read(request, AssignmentRequest)
        displayed = self._service.sessions.get(body.session).displayed

        def finish() -> Response:
            shares = displayed.soft_map(body.stage - 1, body.group)
            file = io.BytesIO()
            Image.fromarray((255 * shares).round().astype(np.uint8)).save(file, "PNG")
            return Response(file.getvalue(), media_type="image/png")

        return await self._service.compute(finish)
