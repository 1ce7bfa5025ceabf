"""How the page is laid out, and what it does when something on it is moved."""

from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from typing import Any, get_args

import gradio as gr
from PIL import Image

from groupvit.evaluation.benchmarks.published import PUBLISHED
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.exported.network import ExportedNetwork
from groupvit.segmentation.protocol import THRESHOLDS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.limits import Limits
from groupvit.serving.page import layers
from groupvit.serving.page.handlers import MOST_WORDS, WORDS, Download, Handlers, view_of
from groupvit.storybook.scene import CLASSES

EXAMPLES = (25, 2, 55, 18, 44, 50)
"""Scenes that are offered; none was seen in training."""
EXAMPLE_SIZE = 320
"""Height and width of them [pixels]."""
NAMED = 0.01
"""What covers this share of an example is among its words."""
DOWNLOADS = {
    "overlay": "Overlay (PNG)",
    "labels": "Labels (index PNG)",
    "coco": "Masks (COCO JSON)",
}
SESSIONS = 256
"""Visitors whose controls Gradio remembers; the oldest is forgotten."""
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
QUICK: dict[str, Any] = {"trigger_mode": "always_last", "show_progress": "hidden", **PRIVATE}
"""How events are wired: unlisted; and, where a hand moves, only the last one counts."""
SAVE = """(file) => {
  const link = Object.assign(document.createElement('a'), { href: file.url, download: file.name });
  link.click();
}"""
"""Saves what a handler gives; no file is kept by the program."""


class Page(gr.Blocks):
    """A page whose controls take words and numbers, never files or addresses of such."""

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *others: Any, **named: Any
    ) -> Any:
        """Refuse what Gradio would take for a file, and go and fetch."""
        if any(_names_file(value) for value in inputs):
            raise gr.Error("files and addresses are not taken here", print_exception=False)
        return await super().preprocess_data(block_fn, inputs, *others, **named)


def build(
    handlers: Handlers,
    segmenter: Segmenter,
    *,
    name: str,
    limits: Limits,
) -> Page:
    """Lay the page out; the controls stand in the order of the fields of `Controls`.

    Args:
        handlers: What answers.
        segmenter: The model, which is asked what it goes by.
        name: What the model is called.
        limits: What a visitor may ask for.
    """
    offered = suggestions(segmenter, name)
    page = Page(title="groupvit", analytics_enabled=False, fill_width=True)
    with page:
        gr.Markdown(f"# Which pixels belong to which word?\n{_lead(segmenter, name)}")
        kept, carrier = gr.State(None), gr.JSON(visible=False)
        with gr.Row(elem_id="layout"):
            with gr.Column(elem_id="bring"):
                picker = component("picker", None, examples=examples(), largest=_largest(limits))
                words = _words(offered)
            with gr.Column(elem_id="see"):
                view = gr.Radio(_views(segmenter), value=WORDS, label="Show")
                viewer = component("viewer", WORDS, image="", layers={})
                with gr.Row():
                    buttons = {kind: gr.Button(DOWNLOADS[kind], size="sm") for kind in DOWNLOADS}
            with gr.Column(elem_id="tune"):
                controls: list[Any] = [words, *_sliders(segmenter, offered)]
        look = [picker, kept, *controls], [kept, viewer, picker, words]
        picker.input(handlers.look, *look, **PRIVATE)
        for control in controls:
            control.change(handlers.relabel, [kept, *controls], viewer, **QUICK)
        view.change(None, view, viewer, js="(view) => view", **PRIVATE)
        for kind in get_args(Download):
            make = partial(handlers.download, kind)
            made = buttons[kind].click(make, [kept, *controls], carrier, **PRIVATE)
            made.success(None, carrier, None, js=SAVE, **PRIVATE)
    page.queue(max_size=limits.requests, default_concurrency_limit=limits.batch, api_open=False)
    page.state_session_capacity = SESSIONS
    return page


def _lead(segmenter: Segmenter, name: str) -> str:
    trained = segmenter.origin is None or segmenter.origin.trained
    told = (
        "learned it from images with captions; it has never seen a mask."
        if trained
        else "is untrained: its groups and words mean nothing yet."
    )
    return f"The model `{name}` {told}"


def _views(segmenter: Segmenter) -> list[tuple[str, str]]:
    stages = [stage for stage in segmenter.network.config.image.stages if stage.num_groups]
    groups = [(f"Groups, stage {at + 1}", view_of(at)) for at in range(len(stages))]
    return [("Words", WORDS), *groups, ("Image", "image")]


def _words(offered: Sequence[str]) -> gr.Dropdown:
    return gr.Dropdown(
        list(offered),
        value=[],
        label="Words",
        info="Type one and press Enter. Synonyms share a label: car|taxi",
        multiselect=True,
        allow_custom_value=True,
    )


def _sliders(
    segmenter: Segmenter, offered: Sequence[str]
) -> tuple[gr.Checkbox, gr.Slider, gr.Slider]:
    """Whether there is a background, where it begins, and how many words are kept."""
    usual = segmenter.default_background(offered).threshold
    if usual is None:  # calibrated to thresholds of single labels, which the page does not have
        usual = THRESHOLDS[segmenter.certainty]
    lowest, highest = (0.0, 1.0) if segmenter.certainty == "score" else (-0.5, 0.5)
    with gr.Group():
        has_background = gr.Checkbox(value=True, label="Leave out what no word fits")
        threshold = gr.Slider(
            min(lowest, usual),
            max(highest, usual),
            value=usual,
            step=0.01,
            label="How well a word must fit",
        )
    most = gr.Slider(
        1,
        MOST_WORDS,
        value=MOST_WORDS,
        step=1,
        label=f"Words kept, the best first ({MOST_WORDS}: all)",
    )
    return has_background, threshold, most


def suggestions(segmenter: Segmenter, name: str) -> tuple[str, ...]:
    """Words that are offered: an exported model's own, the bundled one's classes, or COCO's."""
    network = segmenter.network
    if isinstance(network, ExportedNetwork) and network.settings.labels:
        return network.settings.labels
    return CLASSES if name == "storybook" else PUBLISHED["coco-stuff"].labels


def component(name: str, value: Any, **props: Any) -> gr.HTML:
    """A component of ours: `name.html`, `name.css` and `name.js` beside this file."""
    text = {
        kind: files("groupvit").joinpath(f"serving/page/{name}.{kind}").read_text("utf-8")
        for kind in ("html", "css", "js")
    }
    return gr.HTML(
        value,
        html_template=text["html"],
        css_template=text["css"],
        js_on_load=text["js"],
        apply_default_css=False,
        elem_id=name,
        **props,
    )


def examples() -> list[dict[str, Any]]:
    """Drawn scenes, each with what can be seen in it."""
    scenes = Scenes(num=max(EXAMPLES) + 1, size=EXAMPLE_SIZE)
    found = []
    for index in EXAMPLES:
        page = scenes.draw(index)
        shares = [(page.mask == label).mean() for label in range(len(CLASSES))]
        seen = [name for name, share in zip(CLASSES, shares, strict=True) if share > NAMED]
        image = layers.data_url(Image.fromarray(page.image), "PNG")
        found.append({"image": image, "caption": page.captions[0], "words": seen})
    return found


def _largest(limits: Limits) -> int:
    """Bytes of an image that, written as base64, stays within a request."""
    return limits.upload_bytes * 3 // 4 - 10_000


def _names_file(value: Any) -> bool:
    if isinstance(value, dict):
        return "path" in value or any(map(_names_file, value.values()))
    return isinstance(value, list) and any(map(_names_file, value))
