"""Event handlers of the page: an image is grouped once, and labeled again at every change."""

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import gradio as gr
from fastapi import HTTPException
from PIL import Image

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.result import Segmentation
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.page.cache import CachedImage, ImageCache
from groupvit.serving.page.overlays import Overlay, data_url, label_overlay
from groupvit.serving.service import Service
from groupvit.text.background import Background

ALL_LABELS = 20
"""End of the slider for the number of labels, which stands for all of them."""
LABELS = "labels"
"""Name of the view of labels."""
Download = Literal["overlay", "labels", "coco"]


def view_of(stage: int) -> str:
    """Name of the view of a stage's groups."""
    return f"groups {stage + 1}"


@dataclass(frozen=True, slots=True)
class Controls:
    """Values of the controls."""

    labels: Sequence[str]
    has_background: bool
    threshold: float
    top_labels: int

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Controls":
        """Parse the values that a client sent.

        Raises:
            InputError: They are no values of the controls.
        """
        labels, has_background, threshold, top_labels = values
        try:
            return cls(
                list(map(str, labels or ())),
                bool(has_background),
                float(threshold),
                int(top_labels),
            )
        except (TypeError, ValueError):
            raise InputError("these settings are invalid; load the page again") from None

    def label(self, segmenter: Segmenter, grouped: GroupedImage) -> Segmentation:
        """Assign the labels to groups."""
        background = None
        if self.has_background:
            usual = segmenter.default_background(self.labels)
            background = Background(threshold=self.threshold, words=usual.words)
        return segmenter.label(
            grouped,
            self.labels,
            background=background,
            top_labels=self.top_labels if self.top_labels < ALL_LABELS else "all",
        )


class Labeled(NamedTuple):
    """Properties of the viewer that depend on labels."""

    overlays: dict[str, Overlay]
    """Overlay of every view."""
    warnings: list[str]
    """Sentences about words that the model was not trained with."""


class Handlers:
    """Event handlers for all visitors."""

    def __init__(self, service: Service) -> None:
        self._service, self._images = service, ImageCache()

    async def open_image(
        self, chosen: Any, previous: str | None, *controls: Any
    ) -> tuple[Any, Any, None, Any]:
        """Group an image.

        Args:
            chosen: Value of the picker: an image as a data URL and, for examples, labels.
            previous: Key of the previous image.
            controls: Fields of `Controls`.

        Returns:
            Key of the image, update of the viewer, None (which resets the picker), and update of
            the labels.
        """
        with _errors_shown():
            data, labels = _image_and_labels(chosen)
            values = self._controls(controls if labels is None else [labels, *controls[1:]])

            def finish(grouped: GroupedImage | None) -> tuple[CachedImage, Labeled]:
                assert grouped is not None
                image = CachedImage.of(grouped)
                return image, self._labeled(image, values)

            async with self._service.decoded(data) as pixels:
                image, labeled = await self._service.compute(pixels, finish)
            url = data_url(Image.fromarray(image.displayed.image), "WEBP")
            return (
                self._images.put(image, replaced=previous),
                gr.HTML(image=url, **labeled._asdict()),
                None,
                gr.skip() if labels is None else gr.Dropdown(value=labels),
            )

    async def relabel(self, key: str | None, *controls: Any) -> Any:
        """Label the groups of an image again."""
        if key is None:
            return gr.skip()
        with _errors_shown():
            values, image = self._controls(controls), self._images.get(key)
            labeled = await self._service.compute(None, lambda _: self._labeled(image, values))
            return gr.HTML(**labeled._asdict())

    async def download(self, kind: Download, key: str | None, *controls: Any) -> dict[str, str]:
        """File of a segmentation in the size of the upload: its name, and a data URL."""
        with _errors_shown():
            values, grouped = self._controls(controls), self._images.get(key).original
            segmenter = self._service.segmenter
            return await self._service.compute(
                None, lambda _: _file(kind, values.label(segmenter, grouped))
            )

    def _controls(self, controls: Sequence[Any]) -> Controls:
        values = Controls.of(controls)
        self._service.limits.check_labels(values.labels)
        return values

    def _labeled(self, image: CachedImage, values: Controls) -> Labeled:
        """Overlays of an image; without labels there are only groups."""
        stages = enumerate(image.group_overlays)
        if not values.labels:
            return Labeled({view_of(stage): groups.overlay for stage, groups in stages}, [])
        result = values.label(self._service.segmenter, image.displayed)
        labeled = {
            view_of(stage): groups.labeled(result.group_labels(stage)) for stage, groups in stages
        }
        segmenter = self._service.segmenter
        warnings = segmenter.known_words.warnings(segmenter.parse(values.labels).words)
        return Labeled({LABELS: label_overlay(result), **labeled}, warnings)


def _image_and_labels(value: Any) -> tuple[bytes, list[str] | None]:
    """Image file in the picker's value, and the labels of an example."""
    try:
        kind, _, data = value["image"].partition(";base64,")
        if not kind.startswith("data:image/"):
            raise ValueError
        return base64.b64decode(data, validate=True), value.get("labels")
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error):
        raise InputError("this is no image; choose a JPEG, PNG or WebP file") from None


def _file(kind: Download, result: Segmentation) -> dict[str, str]:
    if kind == "coco":
        text = json.dumps(result.to_coco(), ensure_ascii=False).encode()
        url = f"data:application/json;base64,{base64.b64encode(text).decode()}"
        return {"name": "groupvit.json", "url": url}
    image = result.to_overlay() if kind == "overlay" else result.to_index_image()
    name = "groupvit.overlay.png" if kind == "overlay" else "groupvit.png"
    return {"name": name, "url": data_url(image, "PNG")}


@contextmanager
def _errors_shown() -> Iterator[None]:
    """Show the message of an error on the page."""
    try:
        yield
    except InputError as error:
        raise gr.Error(str(error), print_exception=False) from None
    except HTTPException as error:
        raise gr.Error(error.detail, print_exception=False) from None
