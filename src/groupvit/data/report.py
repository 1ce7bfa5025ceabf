"""Statistics of shards, and a contact sheet of their images."""

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from groupvit.data.decoding import DamagedError, read_whole
from groupvit.data.index import Shard
from groupvit.data.shards import Caption, Shards
from groupvit.errors import InputError
from groupvit.progress import OnProgress
from groupvit.visualization.fonts import font
from groupvit.visualization.lettering import INK, PAPER, printable, wrap

_MEASURED: Final = 200
"""Images whose size is measured."""

_NOUNS: Final = 30
"""Nouns in the list of the most frequent."""

_SHOWN: Final = 24
"""Samples on a contact sheet."""

_COLUMNS, _CELL, _GAP, _TEXT, _LINES = 6, 256, 16, 15, 4
"""Contact sheet: cells in a row; side of a cell, gap, height of text [pixels]; lines of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Quantiles of some numbers; zeros if there are none."""

    smallest: float
    median: float
    percentile_95: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Statistics of shards."""

    shards: int
    """Tar files."""
    samples: int
    """Images with at least one caption."""
    captions: int
    """Captions of all samples."""
    bytes: int
    """Size of the tar files."""
    damage: dict[str, int]
    """Number of omissions of each kind; see `tar_samples.TarSamples`."""
    measured: int
    """Number of sampled images, of which size and damage are measured."""
    unreadable: int
    """Number of damaged images among them."""
    width: Quantiles
    """Width of these images [pixels]."""
    height: Quantiles
    """Height of these images [pixels]."""
    words: Quantiles
    """Length of captions [words]."""
    captions_without_nouns: int
    """Captions without a noun, which give no prompts."""
    nouns: dict[str, int]
    """The most frequent nouns and their number of occurrences."""


def report(shards: Sequence[Shard], *, on_progress: OnProgress | None = None) -> Report:
    """Statistics of shards.

    Args:
        shards: Shards with their indexes.
        on_progress: Called after every shard.

    Raises:
        InputError: A shard cannot be read.
    """
    samples = Shards(shards)
    lengths: Counter[int] = Counter()
    nouns: Counter[str] = Counter()
    without = 0
    for number in range(len(shards)):
        for caption in _captions(samples, number):
            lengths[len(caption.text.split())] += 1
            nouns.update(caption.nouns)
            without += not caption.nouns
        if on_progress is not None:
            on_progress(number + 1, len(shards))
    drawn = _drawn(shards, _MEASURED)
    sizes = [size for shard, n in drawn if (size := _size(samples.reader(shard).image(n)))]
    return Report(
        shards=len(shards),
        samples=sum(shard.num_samples for shard in shards),
        captions=lengths.total(),
        bytes=sum(shard.num_bytes for shard in shards),
        damage=dict(sum((Counter(shard.damage) for shard in shards), Counter())),
        measured=len(drawn),
        unreadable=len(drawn) - len(sizes),
        width=_quantiles(Counter(width for width, _ in sizes)),
        height=_quantiles(Counter(height for _, height in sizes)),
        words=_quantiles(lengths),
        captions_without_nouns=without,
        nouns=dict(nouns.most_common(_NOUNS)),
    )


def sheet(shards: Sequence[Shard]) -> Image.Image:
    """Contact sheet of 24 random samples: each image with as many of its captions as fit.

    Raises:
        InputError: There are no samples, or a shard cannot be read.
    """
    samples, drawn = Shards(shards), _drawn(shards, _SHOWN)
    if not drawn:
        raise InputError("the shards hold no samples, so there is nothing to show")
    columns = min(_COLUMNS, len(drawn))
    height = _CELL + _GAP // 2 + round(1.3 * _TEXT * _LINES)
    rows = -(-len(drawn) // columns)
    size = columns * (_CELL + _GAP) + _GAP, rows * (height + _GAP) + _GAP
    canvas = Image.new("RGB", size, PAPER)
    for place, (shard, sample) in enumerate(drawn):
        row, column = divmod(place, columns)
        corner = _GAP + column * (_CELL + _GAP), _GAP + row * (height + _GAP)
        reader = samples.reader(shard)
        _draw(canvas, corner, reader.image(sample), reader.captions(sample))
    return canvas


def _captions(samples: Shards, shard: int) -> Iterator[Caption]:
    reader = samples.reader(shard)
    for sample in range(samples.shards[shard].num_samples):
        yield from reader.captions(sample)


def _drawn(shards: Sequence[Shard], number: int) -> list[tuple[int, int]]:
    """Shard and index of random samples, always the same ones."""
    starts = [0, *accumulate(shard.num_samples for shard in shards)]
    places = random.Random(0).sample(range(starts[-1]), min(number, starts[-1]))
    found = [(bisect_right(starts, place) - 1, place) for place in sorted(places)]
    return [(shard, place - starts[shard]) for shard, place in found]


def _size(data: bytes) -> tuple[int, int] | None:
    try:
        height, width, _ = read_whole(data).shape
    except DamagedError:
        return None
    return width, height


def _quantiles(counts: Counter[int]) -> Quantiles:
    if not counts:
        return Quantiles(smallest=0.0, median=0.0, percentile_95=0.0, largest=0.0)
    values = np.array(sorted(counts))
    reached = np.cumsum([counts[value] for value in values.tolist()]) / counts.total()
    median, percentile = (values[np.searchsorted(reached, share)] for share in (0.5, 0.95))
    return Quantiles(
        smallest=float(values[0]),
        median=float(median),
        percentile_95=float(percentile),
        largest=float(values[-1]),
    )


def _draw(
    canvas: Image.Image, corner: tuple[int, int], data: bytes, captions: Sequence[Caption]
) -> None:
    draw, (left, top) = ImageDraw.Draw(canvas), corner
    try:
        thumbnail = Image.fromarray(read_whole(data))
        thumbnail = ImageOps.contain(thumbnail, (_CELL, _CELL))
        canvas.paste(thumbnail, (left, top + _CELL - thumbnail.height))
    except DamagedError:
        draw.rectangle((left, top, left + _CELL - 1, top + _CELL - 1), outline=INK)
        draw.text((left + _GAP, top + _CELL // 2), "damaged", fill=INK, font=font(_TEXT))
    lines = list[str]()
    for caption in captions:
        if len(lines) < _LINES:
            text = printable(caption.text)
            lines += wrap(text, _CELL, font(_TEXT, text), most=_LINES - len(lines))
    for number, line in enumerate(lines):
        y = top + _CELL + _GAP // 2 + round(1.3 * _TEXT * number)
        draw.text((left, y), line, fill=INK, font=font(_TEXT, line))
