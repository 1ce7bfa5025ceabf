"""The page: one HTML file that needs no other, no network and no script."""

import base64
import html
import io
import shlex
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import NamedTuple

from PIL import Image

from groupvit.demo.rows import Panel, Row, Word
from groupvit.demo.scenes import Scenes
from groupvit.evaluation.evaluate import Evaluation
from groupvit.evaluation.scores import Scores
from groupvit.model.config import Naming

COLOURS = 256
"""Of a picture in the page: a third of the bytes, and no difference to be seen."""


class About(NamedTuple):
    """What the page says of the model."""

    model: str
    """What the person calls it."""
    source: str
    """Where its weights come from."""
    trained: bool
    num_parameters: int
    naming: Naming
    """What takes the words."""
    refined: bool
    """Whether borders are moved to where colours change."""


def build(about: About, scenes: Scenes, evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """The whole page as text.

    Args:
        about: The model.
        scenes: What was drawn and scored.
        evaluation: The scores on them.
        rows: The scenes that are shown.
    """
    style = files("groupvit").joinpath("demo/page.css").read_text(encoding="utf-8")
    shown = "\n".join(_row(number, row) for number, row in enumerate(rows, start=1))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>GroupViT: segmentation learnt from captions</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#scenes">To the pictures</a>
<header>
<h1>Segmentation learnt from captions alone</h1>
{_lead(about, scenes)}
</header>
<main>
<section aria-labelledby="scores">
<h2 id="scores">Scores on {scenes.num:,} scenes it has never seen</h2>
{_figures(evaluation)}
{_bars(evaluation.scores, evaluation.oracle)}
</section>
<section aria-labelledby="scenes">
<h2 id="scenes" tabindex="-1">The first {len(rows)} of them</h2>
{_contest(about, scenes)}
{shown}
</section>
{_way_on(about, scenes)}
</main>
</body>
</html>
"""


def _lead(about: About, scenes: Scenes) -> str:
    never = (
        "This model has never seen a mask. From pictures with captions it found out by itself "
        "which pixels belong together, and which word they go by."
        if about.trained
        else "This model is untrained: its groups and its words mean nothing yet. A trained one "
        "has never seen a mask either; it learns from pictures with captions alone."
    )
    facts = f"{about.num_parameters / 1e6:.1f} million parameters; {about.source}."
    drawn = f"Scenes of {scenes.size} x {scenes.size} pixels, drawn with seed {scenes.seed}."
    return (
        f'<p class="lead">{never}</p>\n'
        f'<p class="muted"><strong>{_text(about.model)}</strong>: {_text(facts)} {_text(drawn)}</p>'
    )


def _contest(about: About, scenes: Scenes) -> str:
    """How pixels come to their words."""
    if about.naming == "segments":
        taken = (
            "group of every picture. A group takes the word that fits it best, and all its pixels "
            "with it."
        )
    else:
        taken = (
            "patch of every picture. A patch takes the word that fits best on average over what "
            "it says itself and what its groups of all stages say, so that several may outvote "
            "one that is wrong."
        )
    borders = (
        " Then borders move to where the colours of the picture change, those of groups too; "
        "nothing in that step is learnt."
        if about.refined
        else ""
    )
    return f"<p>All {len(scenes.labels)} words compete for every {taken}{borders}</p>"


def _figures(evaluation: Evaluation) -> str:
    """The large numbers."""
    stages = zip(evaluation.oracles, evaluation.groups_used, strict=True)
    numbers = [("mIoU", evaluation.scores.miou, "of its words")]
    numbers += [
        (
            f"oracle, stage {number}",
            oracle.miou,
            f"if its {used:.1f} groups had the right words",
        )
        for number, (oracle, used) in reversed(list(enumerate(stages, start=1)))
    ]
    numbers.append(("pixel accuracy", evaluation.scores.pixel_accuracy, "of the pixels are right"))
    items = "\n".join(
        f"<div><dt>{name}</dt><dd>{100 * value:.1f}&nbsp;%<small>{what}</small></dd></div>"
        for name, value, what in numbers
    )
    return f'<dl class="numbers">\n{items}\n</dl>'


def _bars(scores: Scores, oracle: Scores) -> str:
    """A bar for each class, the best first."""
    known = [
        (label, iou, best)
        for label, iou, best in zip(scores.labels, scores.iou, oracle.iou, strict=True)
        if iou is not None
    ]
    items = "\n".join(
        _bar(label, iou, best or 0.0) for label, iou, best in sorted(known, key=lambda x: -x[1])
    )
    return f"""<p class="key"><span class="iou"></span> IoU of the words
<span class="oracle"></span> of the oracle: the same groups with the right words [%]</p>
<ul class="bars">
{items}
</ul>"""


def _bar(label: str, iou: float, best: float) -> str:
    return (
        f'<li><span class="name">{_text(label)}</span>'
        f'<span class="track" aria-hidden="true">'
        f'<span class="oracle" style="width:{100 * best:.1f}%"></span>'
        f'<span class="iou" style="width:{100 * iou:.1f}%"></span></span>'
        f'<span class="value">{100 * iou:.0f} <small>oracle {100 * best:.0f}</small></span></li>'
    )


def _row(number: int, row: Row) -> str:
    panels = "\n".join(map(_panel, row.panels))
    return f"""<article aria-labelledby="scene-{number}">
<h3 id="scene-{number}"><span class="muted">{number}</span> &ldquo;{_text(row.caption)}&rdquo;</h3>
<div class="row">
{panels}
</div>
</article>"""


def _panel(panel: Panel) -> str:
    width, height = panel.image.size
    note = f' <span class="muted">{_text(panel.note)}</span>' if panel.note else ""
    return (
        f'<figure><img src="{_data(panel.image)}" width="{width}" height="{height}" '
        f'alt="{_text(panel.alt)}">'
        f"<figcaption><strong>{_text(panel.title)}</strong>{note}{_legend(panel.words)}"
        "</figcaption></figure>"
    )


def _legend(words: Iterable[Word]) -> str:
    items = "".join(
        f'<li><span class="swatch" style="background:{_hex(word.colour)}"></span>'
        f"{_text(word.name)} <small>{_percent(word.share)}</small></li>"
        for word in words
    )
    return f'<ul class="legend">{items}</ul>' if items else ""


def _way_on(about: About, scenes: Scenes) -> str:
    model = shlex.quote(about.model)
    steps = {
        "Other scenes": f"groupvit demo --model {model} --seed {scenes.seed + 1}",
        "The groups of a picture of yours": f"groupvit groups PICTURE --model {model}",
        "A picture by your own words": (
            "groupvit segment PICTURE --labels dog cat grass --model nvidia/groupvit-gcc-yfcc"
        ),
        "Pictures with captions to train on, and a benchmark with masks": (
            "groupvit storybook --out book"
        ),
        "The scores of a model": f"groupvit evaluate book/test --model {model}",
        "A model of your own": "groupvit train configs/storybook-quick.toml",
    }
    items = "\n".join(
        f"<dt>{_text(what)}</dt><dd><code>{_text(how)}</code></dd>" for what, how in steps.items()
    )
    return f"""<section aria-labelledby="on">
<h2 id="on">How to go on</h2>
<dl class="steps">
{items}
</dl>
</section>"""


def _text(text: str) -> str:
    return html.escape(text)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "&lt; 1%"


def _hex(colour: Sequence[int]) -> str:
    return "#" + bytes(colour).hex()


def _data(image: Image.Image) -> str:
    """The picture as a PNG inside an address."""
    file = io.BytesIO()
    image.convert("RGB").quantize(COLOURS).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
