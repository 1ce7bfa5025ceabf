"""Layout of the page, and its events."""

import base64
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.resources import files
from typing import Any, get_args

import gradio as gr
from PIL import Image

from groupvit.evaluation.benchmarks.published import PUBLISHED
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.exported.network import ExportedNetwork
from groupvit.photographs.bundled import PHOTOGRAPHS, Photograph
from groupvit.segmentation.protocol import THRESHOLDS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import RequestLimits
from groupvit.serving.page.handlers import ALL_LABELS, LABELS, Download, Handlers, view_of
from groupvit.serving.page.overlays import data_url
from groupvit.serving.service import Service
from groupvit.storybook.scene import CLASSES

SCENES = (25, 2, 55, 18, 44)
"""Indices of the scenes among the examples; none is in a training set."""
SCENE_SIZE = 320
"""Height and width of these scenes [pixels]."""
MIN_SHARE = 0.01
"""Fraction of such a scene that a class covers to be among its labels, at least."""
DOWNLOADS = {
    "overlay": "Overlay (PNG)",
    "labels": "Labels (index PNG)",
    "coco": "Masks (COCO JSON)",
}
SESSIONS = 256
"""Visitors whose state Gradio keeps; the oldest is dropped."""
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
LATEST: dict[str, Any] = {"trigger_mode": "always_last", "show_progress": "hidden", **PRIVATE}
"""Options of events: not in Gradio's API; while a slider moves, only the last event counts."""
SAVE = """(file) => {
  const link = Object.assign(document.createElement('a'), { href: file.url, download: file.name });
  link.click();
}"""
"""Saves the file that a handler returns; the server writes none."""


class Page(gr.Blocks):
    """Gradio page that takes no files and no URLs from its controls."""

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *others: Any, **named: Any
    ) -> Any:
        """Refuse values that Gradio would read as a file or download."""
        if any(_names_file(value) for value in inputs):
            raise gr.Error("files and addresses are not taken here", print_exception=False)
        return await super().preprocess_data(block_fn, inputs, *others, **named)


def build(service: Service) -> Page:
    """Page of a service; the order of the controls is that of the fields of `Controls`."""
    segmenter, limits, handlers = service.segmenter, service.limits, Handlers(service)
    suggested = suggestions(segmenter, service.name)
    page = Page(title="groupvit", analytics_enabled=False, fill_width=True)
    with page:
        gr.Markdown(f"# Segment an image by labels\n{_introduction(segmenter, service.name)}")
        key, file = gr.State(None), gr.JSON(visible=False)
        with gr.Row(elem_id="layout"):
            with gr.Column(elem_id="input"):
                size = _max_image_bytes(limits)
                picker = component("picker", None, examples=examples(), max_bytes=size)
                labels = _label_input(suggested)
            with gr.Column(elem_id="result"):
                view = gr.Radio(_views(segmenter), value=LABELS, label="Show")
                viewer = component("viewer", LABELS, image="", overlays={}, warnings=[])
                with gr.Row():
                    buttons = {kind: gr.Button(DOWNLOADS[kind], size="sm") for kind in DOWNLOADS}
            with gr.Column(elem_id="settings"):
                controls: list[Any] = [labels, *_settings(segmenter, suggested)]
        inputs, outputs = [picker, key, *controls], [key, viewer, picker, labels]
        picker.input(handlers.open_image, inputs, outputs, **PRIVATE)
        for control in controls:
            control.change(handlers.relabel, [key, *controls], viewer, **LATEST)
        view.change(None, view, viewer, js="(view) => view", **PRIVATE)
        for kind in get_args(Download):
            make = partial(handlers.download, kind)
            made = buttons[kind].click(make, [key, *controls], file, **PRIVATE)
            made.success(None, file, None, js=SAVE, **PRIVATE)
    page.queue(
        max_size=limits.max_requests,
        default_concurrency_limit=limits.batch_size,
        api_open=False,
    )
    page.state_session_capacity = SESSIONS
    return page


def _introduction(segmenter: Segmenter, name: str) -> str:
    if segmenter.origin is None or segmenter.origin.trained:
        return f"The model `{name}` was trained on images with captions; it has never seen a mask."
    return f"The model `{name}` is untrained: its groups and labels are random."


def _views(segmenter: Segmenter) -> list[tuple[str, str]]:
    stages = [stage for stage in segmenter.network.config.image.stages if stage.num_groups]
    groups = [(f"Groups, stage {index + 1}", view_of(index)) for index in range(len(stages))]
    return [("Labels", LABELS), *groups, ("Image", "image")]


def _label_input(suggested: Sequence[str]) -> gr.Dropdown:
    return gr.Dropdown(
        list(suggested),
        value=[],
        label="Labels",
        info="Type one, or several with commas, and press Enter. Synonyms: car|taxi",
        multiselect=True,
        allow_custom_value=True,
    )


def _settings(
    segmenter: Segmenter, suggested: Sequence[str]
) -> tuple[gr.Checkbox, gr.Slider, gr.Slider]:
    """Controls of the background, its threshold, and the number of labels."""
    usual = segmenter.default_background(suggested)
    lowest, highest = (0.0, 1.0) if segmenter.certainty == "score" else (-0.5, 0.5)
    default = usual.threshold
    if default is None:  # words, or thresholds of single labels, which the page does not have
        default = lowest if usual.words else THRESHOLDS[segmenter.certainty]
    with gr.Group():
        has_background = gr.Checkbox(value=True, label="Background: what no label fits")
        threshold = gr.Slider(
            min(lowest, default),
            max(highest, default),
            value=default,
            step=0.01,
            label="Background threshold",
        )
    top_labels = gr.Slider(
        1,
        ALL_LABELS,
        value=ALL_LABELS,
        step=1,
        label=f"Number of labels, the best first ({ALL_LABELS}: all)",
    )
    return has_background, threshold, top_labels


def suggestions(segmenter: Segmenter, name: str) -> tuple[str, ...]:
    """Labels to suggest: those of an exported model, or the classes of drawn scenes, or COCO's."""
    network = segmenter.network
    if isinstance(network, ExportedNetwork) and network.settings.labels:
        return network.settings.labels
    return CLASSES if name == "storybook" else PUBLISHED["coco-stuff"].labels


def component(name: str, value: Any, **props: Any) -> gr.HTML:
    """Custom component of `name.html`, `name.css` and `name.js` beside this file."""
    html, css, js = (
        files("groupvit").joinpath(f"serving/page/{name}.{kind}").read_text("utf-8")
        for kind in ("html", "css", "js")
    )
    return gr.HTML(
        value,
        html_template=html,
        css_template=css,
        js_on_load=js,
        apply_default_css=False,
        elem_id=name,
        **props,
    )


def examples() -> list[dict[str, Any]]:
    """Photographs, then drawn scenes, with titles or captions, and labels."""
    return [*map(_photograph, PHOTOGRAPHS), *_scenes()]


def _photograph(photograph: Photograph) -> dict[str, Any]:
    data = base64.b64encode(photograph.path.read_bytes()).decode()
    title = f"{photograph.title} ({photograph.credit})"
    return {
        "image": f"data:image/jpeg;base64,{data}",
        "caption": title,
        "labels": list(photograph.labels),
    }


def _scenes() -> Iterator[dict[str, Any]]:
    scenes = Scenes(num=max(SCENES) + 1, size=SCENE_SIZE)
    for index in SCENES:
        scene = scenes.draw(index)
        shares = [(scene.mask == label).mean() for label in range(len(CLASSES))]
        labels = [name for name, share in zip(CLASSES, shares, strict=True) if share > MIN_SHARE]
        url = data_url(Image.fromarray(scene.image), "PNG")
        yield {"image": url, "caption": scene.captions[0], "labels": labels}


def _max_image_bytes(limits: RequestLimits) -> int:
    """Size of an image that, in base64, fits into a request [bytes]."""
    return limits.max_upload_bytes * 3 // 4 - 10_000


def _names_file(value: Any) -> bool:
    if isinstance(value, dict):
        return "path" in value or any(map(_names_file, value.values()))
    return isinstance(value, list) and any(map(_names_file, value))
