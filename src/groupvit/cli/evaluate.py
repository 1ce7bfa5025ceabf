"""`groupvit evaluate`: how well a model segments images whose masks are known."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from groupvit.cli.background import BackgroundOptions
from groupvit.cli.benchmarks import ROOT, open_benchmark
from groupvit.cli.models import load_model
from groupvit.cli.options import Flag, ModelOptions
from groupvit.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from groupvit.evaluation.evaluation import Evaluation


def evaluate(
    benchmark: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="BENCHMARK")]] = "",
    /,
    *,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    root: Path = ROOT,
    images: Path | None = None,
    masks: Path | None = None,
    classes: Path | None = None,
    scenes: int = 500,
    limit: int | None = None,
    clusters: Literal["pixels", "kmeans", "mean-shift", "spectral"] | None = None,
    num_clusters: int = 8,
    background_threshold: float | None = None,
    background_file: Path | None = None,
    out: Path | None = None,
    shown: int = 12,
    overwrite: Flag = False,
    list: Flag = False,  # noqa: A002, ARG001 - the help tells of it; it is acted on earlier
) -> int:
    """Score a model on images with masks: IoU of every class, mIoU, and what the groups allow.

    The oracle is the score that the groups would have if each took the right word; the gap to it
    is what the words lose. Where patches take the words, at all levels, the score is not bound by
    the groups of the last stage, and may pass their oracle. Under torchrun the processes share the
    images. A run with --out that was stopped goes on where it was.

    Args:
        benchmark: A published one (see --list), storybook or storybook-things, which are drawn, or
            a folder with images/, masks/ (PNG of the same names; values are line numbers from 0,
            255 does not count) and classes.txt (a name in each line, synonyms with |).
        options: Which model, and how it looks at images.
        root: Folder in which published benchmarks lie.
        images: Instead of BENCHMARK, a folder of images, together with --masks and --classes.
        masks: Folder of their masks.
        classes: File with the names of the classes.
        scenes: How many scenes are drawn for the storybook.
        limit: Only the first images.
        clusters: Instead of the groups that were learned, cluster what patches mean (baselines of
            the paper's table 4); pixels: every patch stands alone.
        num_clusters: How many clusters, for kmeans and spectral.
        background_threshold: What lies below this score or, for models with centered embeddings,
            cosine is background, instead of the protocol's threshold; for benchmarks whose first
            class is the background.
        background_file: Thresholds that groupvit calibrate found.
        out: Folder for report.html, report.md, scores.json, and a journal of every image.
        shown: How many images the report shows, from the best to the worst.
        overwrite: Begin anew if the folder holds another evaluation.
        list: Show all published benchmarks, whether they are there, and what is expected on disk.
    """
    from rich.console import Console

    from groupvit.distributed import session
    from groupvit.evaluation.clusters import Clustering, ClusteringSegmenter
    from groupvit.evaluation.evaluate import evaluate as run
    from groupvit.evaluation.journal import Journal
    from groupvit.evaluation.reports import writing
    from groupvit.evaluation.reports.markdown import described
    from groupvit.evaluation.reports.values import conditions
    from groupvit.progress import counted

    if shown < 0:
        raise InputError(f"--shown is {shown}; give at least 0")
    opened = open_benchmark(benchmark, root, (images, masks, classes), scenes)
    clustering = Clustering(method=clusters, num_groups=num_clusters) if clusters else None
    asked = BackgroundOptions(background_threshold, file=background_file)
    asked.check(opened.labels)
    with session(options.device) as ranks:
        console = Console(highlight=False, soft_wrap=True, quiet=not ranks.is_main)
        load = partial(options.segmenter, benchmark=opened.key, device=str(ranks.device))
        segmenter = load_model(console, options.model, load)
        behind = asked.resolve(opened.labels, segmenter.default_background)
        if clustering is not None:
            segmenter = ClusteringSegmenter(segmenter, clustering)
        if out is not None and overwrite and ranks.is_main:
            writing.clear(out)
        ranks.barrier()
        measured = conditions(segmenter, opened, background=behind)
        journal = None if out is None else Journal(out, measured, rank=ranks.rank)
        with counted("images") as progress:
            found = run(
                segmenter,
                opened,
                limit=limit,
                background=behind,
                journal=journal,
                ranks=ranks,
                on_progress=progress if ranks.is_main else None,
            )
        values = {"model": options.model, **measured, **found.to_values()}
        console.print(class_table(found), summary(found))
        console.print(described(values), markup=False)
        if out is not None and ranks.is_main:
            writing.write(out, segmenter, opened, found, values, background=behind, num_shown=shown)
            console.print(f"open in a browser: {out / writing.PAGE}", markup=False)
            console.print(f"beside it: {writing.TABLE}, {writing.SCORES}", markup=False)
    return 0


def class_table(evaluation: "Evaluation") -> "Table":
    """The IoU of every class, that of its oracle, and the gap."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE, title="IoU by class [%]", title_justify="left")
    table.add_column("class")
    for name in ("IoU", "oracle", "gap", "boundary"):
        table.add_column(name, justify="right")
    scores, oracle = evaluation.scores, evaluation.oracle
    classes = zip(scores.labels, scores.iou, oracle.iou, evaluation.border_iou, strict=True)
    for label, iou, best, border in classes:
        gap = None if iou is None or best is None else best - iou
        table.add_row(escape(label), *map(_percent, (iou, best, gap, border)))
    table.add_section()
    means = (scores.miou, oracle.miou, oracle.miou - scores.miou, evaluation.border_miou)
    table.add_row("mean", *map(_percent, means), style="bold")
    return table


def summary(evaluation: "Evaluation") -> "Table":
    """What all images come to, in a few lines."""
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2))
    scores = evaluation.scores
    table.add_row("mIoU", f"[bold]{_percent(scores.miou)} %[/]")
    stages = zip(evaluation.oracles, evaluation.groups_used, evaluation.jaccard, strict=True)
    for number, (oracle, used, best) in enumerate(stages, start=1):
        groups = f"{used:.1f} groups in use in an image; the best fits a class by {_percent(best)}"
        table.add_row(f"oracle of stage {number}", f"{_percent(oracle.miou)} %, {groups} %")
    table.add_row("mean accuracy", f"{_percent(scores.mean_accuracy)} %")
    table.add_row("pixel accuracy", f"{_percent(scores.pixel_accuracy)} %")
    rate = evaluation.num_timed / evaluation.seconds
    before = evaluation.num_images - evaluation.num_timed
    images = f"{evaluation.num_timed:,} in {evaluation.seconds:.1f} s ({rate:.1f}/s)"
    table.add_row("images", images + (f", {before:,} done before" if before else ""))
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
