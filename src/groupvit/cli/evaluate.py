"""`groupvit evaluate`: scores of a model on images with masks."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from groupvit.cli.background import BackgroundOptions
from groupvit.cli.benchmarks import ROOT, check_masks, open_benchmark
from groupvit.cli.models import load_model, warn_of_unknown_words
from groupvit.cli.options import Flag, ModelOptions, Words
from groupvit.errors import InputError
from groupvit.progress import counted

if TYPE_CHECKING:
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
    mask_values: Words = (),
    mask_orientation: Literal["upright", "file"] | None = None,
    scenes: int = 500,
    limit: int | None = None,
    clusters: Literal["pixels", "kmeans", "mean-shift", "spectral"] | None = None,
    num_clusters: int = 8,
    background_threshold: float | None = None,
    background_file: Path | None = None,
    out: Path | None = None,
    shown: int = 12,
    floors: Flag = False,
    no_floors: Flag = False,
    overwrite: Flag = False,
    list: Flag = False,  # noqa: A002, ARG001 - for the help; `cli.main` acts on it
) -> int:
    """Score a model on images with masks: IoU of every class, mIoU, and the oracle of the groups.

    The oracle is the score that the groups would have if each took the class that fits it best.
    With naming by segments the gap to it is lost by the labels; with naming by levels patches take
    the labels, and the score may exceed the oracle. Floors are the same scores without use of the
    meaning of an image: one class everywhere, and the oracles of a blind grid and of clusters
    of color and place with as many parts as the groups in use. Under torchrun the processes share
    the images. With --out, an interrupted evaluation resumes. With --folds or --held-out, classes
    that a model was not trained on are scored: see groupvit evaluate --folds --help.

    Args:
        benchmark: A published benchmark (see --list), storybook or storybook-things (drawn scenes),
            or a folder with images/, masks/ (PNG files of the same names; values are line numbers
            from 0, pixels of 255 do not count) and classes.txt (one name per line, synonyms
            separated by |).
        options: Model and protocol.
        root: Folder of published benchmarks.
        images: Folder of images, with --masks and --classes in place of BENCHMARK.
        masks: Folder of their masks.
        classes: File with the names of the classes.
        mask_values: Classes of the values in the masks of a folder, where they are not line
            numbers: 0=background 255=tree, ranges such as 1-20=cat (the classes from cat on),
            colors such as ff0000=tree, voc or ade (the colors of PASCAL VOC, ADE20K), 0=ignored.
        mask_orientation: Orientation of the masks of a folder whose images have an EXIF
            orientation, where their size does not show it: upright, as drawn on the image as seen,
            or file, as drawn on the pixels as stored.
        scenes: Number of drawn scenes of the storybook.
        limit: Maximum number of images, the first ones.
        clusters: Cluster patch embeddings in place of the learned groups (baselines of the paper's
            table 4); pixels: every patch is a cluster.
        num_clusters: Number of clusters, for kmeans and spectral.
        background_threshold: Threshold in place of the protocol's: pixels whose certainty (score,
            cosine or margin, depending on the model) is lower are background. For benchmarks whose
            first class is the background.
        background_file: File of thresholds from groupvit calibrate.
        out: Folder for report.html, report.md, scores.json and the journal.
        shown: Number of images in the report, from best to worst.
        floors: Measure the floors of the oracles for more than 500 images too; all images are read
            twice.
        no_floors: Leave the floors of the oracles out, which are measured for up to 500 images.
        overwrite: Replace an evaluation in the folder.
        list: List the published benchmarks, their expected files, and whether they are present.
    """
    from groupvit.distributed import session
    from groupvit.evaluation.evaluate import evaluate as run
    from groupvit.evaluation.measurement import prescribed_labels
    from groupvit.evaluation.reports import writing
    from groupvit.evaluation.reports.floors import sentences
    from groupvit.evaluation.verdict import MOST_IMAGES
    from groupvit.probes.clusters import Clustering, ClusteringSegmenter

    if floors and no_floors:
        raise InputError("--floors and --no-floors exclude each other; give one of them")
    if shown < 0:
        raise InputError(f"--shown is {shown}; give at least 0")
    opened = open_benchmark(
        benchmark, root, scenes, mask_values, mask_orientation, parts=(images, masks, classes)
    )
    few = min(limit or len(opened), len(opened)) <= MOST_IMAGES
    clustering = Clustering(method=clusters, num_groups=num_clusters) if clusters else None
    background = BackgroundOptions(background_threshold, file=background_file)
    background.check(opened.labels)
    with session(options.device) as ranks:
        console = Console(highlight=False, soft_wrap=True, quiet=not ranks.is_main)
        masks_line = check_masks(opened)
        load = partial(options.segmenter, benchmark=opened.key, device=str(ranks.device))
        segmenter = load_model(console, options.model, load)
        warn_of_unknown_words(console, segmenter, prescribed_labels(opened, segmenter.protocol))
        used = background.resolve(opened.labels, segmenter.default_background)
        if clustering is not None:
            segmenter = ClusteringSegmenter(segmenter, clustering)
        with counted("images") as progress:
            found = run(
                segmenter,
                opened,
                limit=limit,
                background=used,
                folder=out,
                prepare=partial(writing.clear, out) if out is not None and overwrite else None,
                ranks=ranks,
                floors=floors or (few and not no_floors),
                on_progress=progress if ranks.is_main else None,
            )
        console.print(class_table(found), summary(found))
        for sentence in sentences(found):
            console.print(sentence, markup=False)
        if masks_line:
            console.print(masks_line, markup=False)
        console.print(str(found.measurement), markup=False)
        if out is not None and ranks.is_main:
            writing.write(out, segmenter, opened, found, model=options.model, num_shown=shown)
            console.print(f"open in a browser: {out / writing.PAGE}", markup=False)
            console.print(f"in the same folder: {writing.TABLE}, {writing.SCORES}", markup=False)
    return 0


def class_table(evaluation: "Evaluation") -> Table:
    """Table of the IoU of every class, its oracle, the gap, and boundary IoU."""
    from groupvit.evaluation.reports.markdown import percent

    table = Table(box=box.SIMPLE, title="IoU by class [%]", title_justify="left")
    table.add_column("class")
    for name in ("IoU", "oracle", "gap", "boundary"):
        table.add_column(name, justify="right")
    scores, oracle = evaluation.scores, evaluation.oracle
    classes = zip(
        scores.labels,
        evaluation.shown_iou,
        oracle.iou,
        evaluation.shown_boundary_iou,
        strict=True,
    )
    for label, iou, best, boundary in classes:
        gap = None if iou is None or best is None else best - iou
        table.add_row(escape(label), *map(percent, (iou, best, gap, boundary)))
    table.add_section()
    means = (scores.miou, oracle.miou, oracle.miou - scores.miou, evaluation.boundary_miou)
    table.add_row("mean", *map(percent, means), style="bold")
    return table


def summary(evaluation: "Evaluation") -> Table:
    """Table of the means over all images."""
    from groupvit.evaluation.reports.floors import floor_scores
    from groupvit.evaluation.reports.markdown import percent

    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(no_wrap=True)
    scores = evaluation.scores
    table.add_row("mIoU", f"[bold]{percent(scores.miou)} %[/]")
    stages = zip(evaluation.oracles, evaluation.groups_used, evaluation.best_group_iou, strict=True)
    for number, (oracle, used, best) in enumerate(stages, start=1):
        groups = f"{used:.1f} groups in use per image, mean best IoU of a group {percent(best)}"
        table.add_row(f"oracle of stage {number}", f"{percent(oracle.miou)} %, {groups} %")
    for name, value in floor_scores(evaluation).items():
        table.add_row(f"floor: {escape(name)}", f"{percent(value)} %")
    table.add_row("mean accuracy", f"{percent(scores.mean_accuracy)} %")
    table.add_row("pixel accuracy", f"{percent(scores.pixel_accuracy)} %")
    rate = evaluation.num_timed / evaluation.seconds
    before = evaluation.num_images - evaluation.num_timed
    images = f"{evaluation.num_timed:,} in {evaluation.seconds:.1f} s ({rate:.1f}/s)"
    table.add_row("images", images + (f", {before:,} from the journal" if before else ""))
    return table
