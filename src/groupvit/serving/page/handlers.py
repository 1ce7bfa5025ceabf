"""What the page asks: an image is grouped once, and labeled as often as something is moved."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr
from fastapi import HTTPException
from PIL import Image

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage
from groupvit.segmentation.result import Segmentation
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.page import layers
from groupvit.serving.page.cache import Cache, Kept
from groupvit.serving.page.layers import Layer
from groupvit.serving.service import Service
from groupvit.text.background import Background

MOST_WORDS = 20
"""The end of the slider for the number of words; it stands for all of them."""
WORDS = "words"
"""The view of what the words took."""
Download = Literal["overlay", "labels", "coco"]


def view_of(stage: int) -> str:
    """What the view of a stage's groups is called."""
    return f"groups {stage + 1}"


@dataclass(frozen=True, slots=True)
class Controls:
    """What the controls say."""

    words: Sequence[str]
    has_background: bool
    threshold: float
    most: int

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Controls":
        """What controls sent, which may be anything.

        Raises:
            InputError: It is nothing that controls send.
        """
        words, has_background, threshold, most = values
        try:
            return cls(
                list(map(str, words or ())), bool(has_background), float(threshold), int(most)
            )
        except (TypeError, ValueError):
            raise InputError("these are no settings; load the page again") from None

    def label(self, segmenter: Segmenter, grouped: GroupedImage) -> Segmentation:
        """Give the words to the groups."""
        background = Background(threshold=self.threshold) if self.has_background else None
        most: int | Literal["all"] = self.most if self.most < MOST_WORDS else "all"
        return segmenter.label(grouped, self.words, background=background, top_labels=most)


class Handlers:
    """Answers the events of all visitors."""

    def __init__(self, desk: Callable[[], Service]) -> None:
        """Open it.

        Args:
            desk: Gives what computes; asked for at every event, as it opens after the page is made.
        """
        self._service, self._shelf = desk, Cache()

    async def look(self, given: Any, old: str | None, *controls: Any) -> tuple[Any, Any, None, Any]:
        """Take an image in.

        Args:
            given: What the picker says: an image as a data URL and, for examples, words.
            old: The name of the image before.
            controls: The fields of `Controls`.

        Returns:
            The name of its groups, what the viewer shows, nothing (the picker lets go of what it
            gave), and the words.
        """
        with _telling():
            data, words = _given(given)
            wish = self._controls(controls if words is None else [words, *controls[1:]])
            pixels = await self._service().decoded(data)

            def first(grouped: GroupedImage | None) -> tuple[Kept, dict[str, Layer]]:
                assert grouped is not None
                kept = Kept.of(grouped)
                return kept, self._layers(kept, wish)

            kept, found = await self._service().computed(pixels, first)
            image = layers.data_url(Image.fromarray(kept.seen.image), "WEBP")
            return (
                self._shelf.put(kept, instead_of=old),
                gr.HTML(image=image, layers=found),
                None,
                gr.skip() if words is None else gr.Dropdown(value=words),
            )

    async def relabel(self, name: str | None, *controls: Any) -> Any:
        """Give other words, or other limits, to the groups that are known."""
        if name is None:
            return gr.skip()
        with _telling():
            wish, kept = self._controls(controls), self._shelf.get(name)
            found = await self._service().computed(None, lambda _: self._layers(kept, wish))
            return gr.HTML(layers=found)

    async def download(self, kind: Download, name: str | None, *controls: Any) -> dict[str, str]:
        """A file about the image in its own size: its name, and a data URL."""
        with _telling():
            wish, whole = self._controls(controls), self._shelf.get(name).whole

            def make(_: GroupedImage | None) -> dict[str, str]:
                return _file(kind, wish.label(self._service().segmenter, whole))

            return await self._service().computed(None, make)

    def _controls(self, controls: Sequence[Any]) -> Controls:
        wish = Controls.of(controls)
        self._service().limits.check_words(wish.words)
        return wish

    def _layers(self, kept: Kept, wish: Controls) -> dict[str, Layer]:
        """What can be looked at; without words only groups."""
        if not wish.words:
            return {view_of(stage): groups.layer for stage, groups in enumerate(kept.groups)}
        found = wish.label(self._service().segmenter, kept.seen)
        named = {
            view_of(stage): groups.named(found.group_labels(stage))
            for stage, groups in enumerate(kept.groups)
        }
        return {WORDS: layers.of_labels(found), **named}


def _given(value: Any) -> tuple[bytes, list[str] | None]:
    """The bytes of an image and the words that come with it."""
    try:
        kind, _, data = value["image"].partition(";base64,")
        if not kind.startswith("data:image/"):
            raise ValueError
        return base64.b64decode(data, validate=True), value.get("words")
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error):
        raise InputError("this is no image; give a JPEG, PNG or WebP file") from None


def _file(kind: Download, found: Segmentation) -> dict[str, str]:
    if kind == "coco":
        text = json.dumps(found.to_coco(), ensure_ascii=False).encode()
        url = f"data:application/json;base64,{base64.b64encode(text).decode()}"
        return {"name": "groupvit.json", "url": url}
    image = found.to_overlay() if kind == "overlay" else found.to_index_image()
    name = "groupvit.overlay.png" if kind == "overlay" else "groupvit.png"
    return {"name": name, "url": layers.data_url(image, "PNG")}


@contextmanager
def _telling() -> Iterator[None]:
    """Show what is wrong as a sentence on the page."""
    try:
        yield
    except InputError as error:
        raise gr.Error(str(error), print_exception=False) from None
    except HTTPException as error:
        raise gr.Error(error.detail, print_exception=False) from None
