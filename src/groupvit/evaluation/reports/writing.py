"""Writes the folder of an evaluation: a page, a table, values, and the journal beside them."""

import json
from pathlib import Path
from typing import Any

from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.evaluate import asked
from groupvit.evaluation.evaluation import Evaluation
from groupvit.evaluation.journal import NAME
from groupvit.evaluation.reports.images import choose, draw
from groupvit.evaluation.reports.markdown import markdown
from groupvit.evaluation.reports.page import page
from groupvit.pages.document import write_page
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background

SCORES, TABLE, PAGE = "scores.json", "report.md", "report.html"
"""What is written."""


def clear(out: Path) -> None:
    """Take away what an older evaluation has left in a folder, and nothing else."""
    for file in (*out.glob(f"{NAME}-*.jsonl"), *(out / name for name in (SCORES, TABLE, PAGE))):
        file.unlink(missing_ok=True)


def write(
    out: Path,
    segmenter: Segmenter,
    benchmark: Benchmark,
    evaluation: Evaluation,
    values: dict[str, Any],
    *,
    background: Background | None,
    num_shown: int,
) -> None:
    """Write everything but the journal.

    Args:
        out: The folder, which exists.
        segmenter: The model, which segments the images of the page once more.
        benchmark: What was measured.
        evaluation: The scores.
        values: What `conditions` gives, the scores, and the `model` as the person calls it.
        background: As it was measured with.
        num_shown: How many images the page shows.

    Raises:
        InputError: A file cannot be written.
    """
    question = asked(benchmark, segmenter, background)
    shown = [
        draw(segmenter, benchmark, question, score)
        for score in choose(evaluation.images, num_shown)
    ]
    write_page(out / SCORES, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    write_page(out / TABLE, markdown(evaluation, values))
    write_page(out / PAGE, page(evaluation, values, shown))
