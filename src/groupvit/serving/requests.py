"""Bodies of requests: fields of a form, or JSON with the image in base64."""

import base64
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from anyio import to_thread
from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from groupvit.errors import InputError
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background

FORM = "multipart/form-data"
JSON = "application/json"
TYPES = (FORM, "application/x-www-form-urlencoded", JSON)
"""Types of bodies that are read."""
MAX_FIELDS = 1000
"""Fields of a form."""
MAX_VALUES = 10_000
"""Commas and brackets in JSON: values take up to a hundred times their length in memory."""
IMAGE = "Image file: JPEG, PNG or WebP."

Image = Annotated[bytes, Field(strict=True, description=IMAGE)]
Session = Annotated[str, Field(max_length=100, description="Session of an image, by /v1/group.")]
Words = Annotated[
    list[str],
    Field(max_length=MAX_FIELDS, description="Words, one in each field or separated by commas."),
]
Labels = Annotated[
    list[str],
    Field(
        max_length=MAX_FIELDS,
        description="Labels, one in each field or separated by commas; synonyms share a label: "
        'car|taxi; quotation marks keep a comma: "salt, pepper".',
    ),
]
View = Annotated[
    Literal["labels", "overlay", "groups"],
    Field(description="Image of the response, if the client accepts image/png."),
]


class Body(BaseModel):
    """Body of a request."""

    model_config = ConfigDict(extra="forbid")


class GroupRequest(Body):
    """Image to group."""

    image: Image


class EmbedRequest(Body):
    """Words and an image to embed."""

    words: Words = []
    image: Image | None = None


class LabelSettings(Body):
    """Labels, and how they compete."""

    labels: Labels
    background: Annotated[
        float | Literal["auto"] | None,
        Field(
            description="Background threshold: pixels below it get no label; `auto`: the usual "
            "background of the model."
        ),
    ] = None
    background_threshold: Annotated[
        float | None, Field(description="Threshold in place of that of `auto`, and only with it.")
    ] = None
    background_words: Words = []
    top_labels: Annotated[
        int | None,
        Field(ge=1, description="Number of labels that are used, the best of the image."),
    ] = None

    def background_of(self, segmenter: Segmenter) -> Background | None:
        """Background that is selected; None: every pixel has a label.

        Raises:
            InputError: A threshold is out of range, or two are given.
        """
        words = tuple(self.background_words)
        if self.background == "auto":
            usual = segmenter.default_background(self.labels)
            usual = replace(usual, words=words or usual.words)
            if self.background_threshold is None:
                return usual
            return replace(usual, threshold=self.background_threshold, thresholds={})
        if self.background_threshold is not None:
            raise InputError(
                "background_threshold is given without background=auto; give the threshold as "
                "background"
            )
        if self.background is None and not words:
            return None
        return Background(threshold=self.background, words=words)


class LabelRequest(LabelSettings):
    """Labels for the groups of a session."""

    session: Session


class SegmentRequest(LabelSettings):
    """Image and its labels."""

    image: Image
    view: View = "labels"


class SegmentSessionRequest(LabelRequest):
    """Session of an image, and its labels."""

    view: View = "labels"


class AssignmentRequest(Body):
    """Group whose soft assignment is drawn."""

    session: Session
    stage: Annotated[int, Field(ge=1, description="Stage, from 1.")]
    group: Annotated[int, Field(ge=0, description="Number of the group.")]


SomeBody = TypeVar("SomeBody", bound=Body)


def described(body: type[Body]) -> dict[str, Any]:
    """OpenAPI description of a body in both of its types."""
    form = body.model_json_schema()
    encoded = deepcopy(form)
    if "image" in form["properties"]:
        form["properties"]["image"] = {"type": "string", "format": "binary", "description": IMAGE}
        encoded["properties"]["image"] = {
            "type": "string",
            "contentEncoding": "base64",
            "description": f"{IMAGE[:-1]}, in base64.",
        }
    content = {FORM: {"schema": form}, JSON: {"schema": encoded}}
    return {"requestBody": {"required": True, "content": content}}


async def read(request: Request, body: type[SomeBody]) -> SomeBody:
    """Read and check the body of a request.

    Raises:
        InputError: It is no JSON, or has an unknown field.
        RequestValidationError: A field is missing, or has another type.
        HTTPException: 400: it is no form; 415: it is of another type.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in TYPES:
        raise HTTPException(415, f"the content type is {kind!a:.60}; send {FORM} or {JSON}")
    if kind == JSON:
        data = await request.body()
        values = await to_thread.run_sync(_json_values, data)
        _check_names(values, body)
    else:
        async with request.form(max_files=1, max_fields=MAX_FIELDS) as form:
            _check_names(form, body)
            values = await _form_values(form, body)
    try:
        return body.model_validate(values)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from None


def _check_names(values: Mapping[str, Any], body: type[Body]) -> None:
    for name in values:
        if name not in body.model_fields:
            known = ", ".join(body.model_fields)
            raise InputError(f"{name!a:.60} is no field of this request; known are {known}")


def _json_values(data: bytes) -> dict[str, Any]:
    """Values of JSON, with the image decoded."""
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise InputError(f"the body has more than {MAX_VALUES:,} values; send fewer")
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("the body is no JSON in UTF-8; send an object with the fields") from None
    if not isinstance(values, dict):
        raise InputError("the body is no JSON object; send one with the fields")
    if isinstance(image := values.get("image"), str):
        try:
            values["image"] = base64.b64decode(image, validate=True)
        except ValueError:
            raise InputError("image: this is no base64; encode the bytes of the file") from None
    return values


async def _form_values(form: FormData, body: type[Body]) -> dict[str, Any]:
    """Values of a form; empty ones are left out, but for labels and words."""
    values: dict[str, Any] = {}
    for name in form:
        if body.model_fields[name].annotation == list[str]:
            values[name] = form.getlist(name)
        elif isinstance(given := form[name], UploadFile):
            values[name] = await given.read()
        elif name == "image":
            raise InputError("image: this is no file; send one, as curl -F image=@photo.jpg does")
        elif given != "":
            values[name] = given
    return values
