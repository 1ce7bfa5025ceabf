"""Report of an evaluation: a page, a table and values, written beside the journal."""

import json
from functools import partial
from pathlib import Path

from groupvit import files
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.evaluation import Evaluation
from groupvit.evaluation.journal import NAME
from groupvit.evaluation.reports.images import choose, draw
from groupvit.evaluation.reports.markdown import markdown
from groupvit.evaluation.reports.page import page
from groupvit.segmentation.segmenter import Segmenter

SCORES, TABLE, PAGE = "scores.json", "report.md", "report.html"
"""Files of a report."""
REPORT = "report"
"""Name of all of them while they are replaced."""


def clear(out: Path) -> None:
    """Delete the journal of an earlier evaluation; its report stays until the new one is whole."""
    for file in out.glob(f"{NAME}-*.jsonl"):
        file.unlink(missing_ok=True)


def write(
    out: Path,
    segmenter: Segmenter,
    benchmark: Benchmark,
    evaluation: Evaluation,
    *,
    model: str,
    num_shown: int,
) -> None:
    """Write the report.

    Args:
        out: Existing folder.
        segmenter: Model, which segments the images of the page again: no evaluation holds images.
        benchmark: Images with masks.
        evaluation: Scores.
        model: Name of the model as the user gave it.
        num_shown: Number of images on the page.

    Raises:
        InputError: A file cannot be written.
    """
    labels = evaluation.measurement.parsed()
    draw_score = partial(draw, segmenter, benchmark, evaluation, labels)
    shown = list(map(draw_score, choose(evaluation.images, num_shown)))
    values = {"model": model, **evaluation.to_values()}
    warnings = segmenter.known_words.warnings(labels.words)
    texts = {
        SCORES: json.dumps(values, indent=2, ensure_ascii=False) + "\n",
        TABLE: markdown(evaluation),
        PAGE: page(evaluation, shown, model=model, warnings=warnings),
    }
    files.complete(out, REPORT)
    with files.temporary_folder(out, REPORT) as beside:
        for name, text in texts.items():
            (beside / name).write_text(text, encoding="utf-8")
        files.replace_all(beside, out, REPORT)
