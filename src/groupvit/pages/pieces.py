"""What pages are made of: large numbers, bars, and rows of images with their words."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from groupvit import visualization
from groupvit.pages.document import data, text

OPACITY = 0.65
"""Of the colors of labels, [0, 1]."""

LabelMap = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]


class Figure(NamedTuple):
    """A large number."""

    name: str
    value: str
    """With its unit."""
    meaning: str
    """A few words on what it counts."""


class Bar(NamedTuple):
    """Of one class what was reached, and what could have been."""

    name: str
    value: float
    """[0, 1]."""
    oracle: float
    """[0, 1]."""


class Word(NamedTuple):
    """A word of an image's legend."""

    name: str
    color: tuple[int, ...]
    """RGB, 0 to 255."""
    share: float
    """Of the image, [0, 1]."""


class Panel(NamedTuple):
    """An image of a row."""

    title: str
    note: str
    """A few words more."""
    image: Image.Image
    alt: str
    """What it shows, for those who do not see it."""
    words: tuple[Word, ...] = ()
    """Its legend, the largest share first."""


def labeled(
    title: str,
    note: str,
    image: UInt8[np.ndarray, "height width 3"],
    label_map: LabelMap,
    labels: Sequence[str],
    colors: UInt8[np.ndarray, "label 3"],
) -> Panel:
    """An image under the colors of its labels, with a legend."""
    shares = np.bincount(label_map.ravel(), minlength=len(labels)) / label_map.size
    words = tuple(
        Word(labels[index], tuple(colors[index].tolist()), float(shares[index]))
        for index in np.argsort(-shares, kind="stable")
        if shares[index] > 0
    )
    overlay = visualization.overlay(image, label_map, labels, colors, opacity=OPACITY, legend=False)
    alt = ", ".join(f"{word.name} {word.share:.0%}" for word in words)
    return Panel(title, note, overlay, f"{title}: {alt}", words)


def figures(numbers: Iterable[Figure]) -> str:
    """Large numbers side by side."""
    items = "\n".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}<small>{text(meaning)}</small></dd></div>"
        for name, value, meaning in numbers
    )
    return f'<dl class="numbers">\n{items}\n</dl>'


def bars(classes: Sequence[Bar]) -> str:
    """A bar for each class, the best first."""
    items = "\n".join(map(_bar, sorted(classes, key=lambda one: -one.value)))
    return f"""<p class="key"><span class="iou"></span> IoU of the words
<span class="oracle"></span> of the oracle: the same groups with the right words [%]</p>
<ul class="bars">
{items}
</ul>"""


def article(name: str, title: str, panels: Iterable[Panel]) -> str:
    """A row of images under a title, which is HTML; `name` is its id."""
    row = "\n".join(map(_panel, panels))
    return f"""<article aria-labeledby="{name}">
<h3 id="{name}">{title}</h3>
<div class="row">
{row}
</div>
</article>"""


def _bar(bar: Bar) -> str:
    return (
        f'<li><span class="name">{text(bar.name)}</span>'
        f'<span class="track" aria-hidden="true">'
        f'<span class="oracle" style="width:{100 * bar.oracle:.1f}%"></span>'
        f'<span class="iou" style="width:{100 * bar.value:.1f}%"></span></span>'
        f'<span class="value">{100 * bar.value:.0f} <small>oracle {100 * bar.oracle:.0f}</small>'
        "</span></li>"
    )


def _panel(panel: Panel) -> str:
    width, height = panel.image.size
    note = f' <span class="muted">{text(panel.note)}</span>' if panel.note else ""
    return (
        f'<figure><img src="{data(panel.image)}" width="{width}" height="{height}" '
        f'alt="{text(panel.alt)}">'
        f"<figcaption><strong>{text(panel.title)}</strong>{note}{_legend(panel.words)}"
        "</figcaption></figure>"
    )


def _legend(words: Iterable[Word]) -> str:
    items = "".join(
        f'<li><span class="swatch" style="background:{_hex(word.color)}"></span>'
        f"{text(word.name)} <small>{_percent(word.share)}</small></li>"
        for word in words
    )
    return f'<ul class="legend">{items}</ul>' if items else ""


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "&lt; 1%"


def _hex(color: Sequence[int]) -> str:
    return "#" + bytes(color).hex()
