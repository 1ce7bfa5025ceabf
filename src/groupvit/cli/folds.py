"""`groupvit evaluate --folds`: scores of held-out classes, labeled by two labels."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from groupvit.cli.benchmarks import ROOT, check_masks, open_benchmark
from groupvit.cli.models import load_model, warn_of_unknown_words
from groupvit.cli.options import Flag, ModelOptions, Words
from groupvit.errors import InputError
from groupvit.progress import counted

if TYPE_CHECKING:
    from groupvit.evaluation.benchmarks.benchmark import Benchmark
    from groupvit.evaluation.folds.cutting import Episode, Fold, Folded
    from groupvit.evaluation.folds.selection import Candidate, FoldEvaluation
    from groupvit.segmentation.segmenter import Segmenter

Names = Annotated[Sequence[str], tyro.conf.arg(metavar="MODEL [MODEL ...]")]
Numbers = Annotated[tuple[float, ...], tyro.conf.arg(metavar="NUMBER [NUMBER ...]")]


def evaluate_folds(
    benchmark: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="BENCHMARK")]],
    /,
    *,
    options: Annotated[ModelOptions, tyro.conf.arg(name="")],
    folds: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[FOLD ...]")] = (),
    held_out: Words = (),
    lists: Path | None = None,
    others: Words = (),
    thresholds: Numbers = (),
    candidates: Names = (),
    seen: Flag = False,
    as_published: Flag = False,
    sets: Path | None = None,
    root: Path = ROOT,
    mask_values: Words = (),
    mask_orientation: Literal["upright", "file"] | None = None,
    scenes: int = 500,
    limit: int | None = None,
    out: Path | None = None,
    shown: int = 4,
    overwrite: Flag = False,
) -> int:
    """Score a model on held-out classes: mIoU, FB-IoU and the name test, beside their floors.

    Each image is labeled by two labels, «others» and one class that it shows; and, for the name
    test, by a class that it does not show. Classes are held out fold by fold: a model is tested on
    the classes of a fold that its training masks do not have. Under torchrun the processes share
    the images. With --out, an interrupted evaluation resumes.

    Args:
        benchmark: A folder with images/, masks/ and classes.txt, in folds of five classes;
            pascal-5i or coco-20i, below --root; or storybook (drawn scenes, three folds).
        options: Model and protocol; {fold} in --model stands for the number of the fold.
        folds: Folds to evaluate; none: all.
        held_out: Classes to hold out, in place of folds.
        lists: Folder of lists of episodes, fold0.txt and so on, with lines such as 2007_000033__01;
            default: every class of every image.
        others: Words that are «others»; words that name the class itself are left out for it;
            default: the background of the model.
        thresholds: Thresholds of the certainty below which pixels are «others»; of several, the
            best one for the classes that are not held out.
        candidates: Models in place of --model, such as checkpoints of a run; the best one for the
            classes that are not held out, on images without held-out classes, is tested.
        seen: Score the classes that are not held out too.
        as_published: Images stretched to 480 x 480, 1,000 episodes a fold, the word others, and
            candidates chosen by the held-out classes themselves.
        sets: Write training sets without the held-out classes to this folder, and evaluate nothing.
        root: Folder of published benchmarks.
        mask_values: Classes of the values in the masks of a folder; see groupvit evaluate.
        mask_orientation: Orientation of the masks of a folder; see groupvit evaluate.
        scenes: Number of drawn scenes of the storybook.
        limit: Maximum number of images of a fold, spread evenly over all.
        out: Folder for report.html, report.md, scores.json and the journals.
        shown: Number of episodes of each fold on the page, from best to worst.
        overwrite: Replace an evaluation in the folder.
    """
    from groupvit.distributed import session
    from groupvit.evaluation.folds.evaluate import PUBLISHED_SIDE, Rules
    from groupvit.evaluation.folds.others import PUBLISHED_WORDS, Others
    from groupvit.evaluation.folds.selection import Runner
    from groupvit.evaluation.reports import folds as report
    from groupvit.evaluation.reports.folds_page import draw, page
    from groupvit.evaluation.reports.writing import PAGE, SCORES, TABLE

    if limit is not None and limit < 1:
        raise InputError(f"--limit is {limit}; give at least 1")
    if shown < 0:
        raise InputError(f"--shown is {shown}; give at least 0")
    if folds and held_out:
        raise InputError("--folds with numbers and --held-out exclude each other; give one of them")
    with session(options.device) as ranks:
        console = Console(highlight=False, soft_wrap=True, quiet=not ranks.is_main)
        opened = _open(
            benchmark,
            root,
            scenes,
            (mask_values, mask_orientation),
            held_out=held_out,
            lists=lists,
            training=sets is not None,
        )
        chosen = _chosen(opened, folds)
        if sets is not None:
            _write_sets(console, sets, opened, chosen, limit, with_held_out=as_published)
            return 0
        labels = [opened.labels[number] for fold in chosen for number in fold.held_out]
        runner = Runner(
            folded=opened,
            rules=Rules(
                others=Others(),
                stretch=PUBLISHED_SIDE if as_published else None,
                void_counts=as_published and opened.published.void_counts,
            ),
            load=_loader(console, options, labels, device=str(ranks.device)),
            as_published=as_published,
            limit=limit,
            out=out,
            overwrite=overwrite,
            ranks=ranks,
        )
        if as_published and not thresholds:
            others = others or PUBLISHED_WORDS
        tried = _candidates(candidates or (options.model,), others, thresholds)
        found = []
        for fold in chosen:
            with counted(f"images of fold {fold.name}") as progress:
                running = replace(runner, on_progress=progress if ranks.is_main else None)
                found.append(running.evaluate(fold, tried, with_seen=seen))
        console.print(score_table(opened, found), class_table(found))
        for sentence in report.sentences(opened, found, as_published=as_published):
            console.print(sentence, markup=False)
        if out is not None and ranks.is_main:
            drawn = [one for fold in found for one in draw(opened, fold, runner.load, num=shown)]
            html = page(opened, found, drawn, as_published=as_published)
            report.write(out, opened, found, as_published=as_published, page=html)
            console.print(f"open in a browser: {out / PAGE}", markup=False)
            console.print(f"in the same folder: {TABLE}, {SCORES}", markup=False)
    return 0


def score_table(folded: "Folded", found: "Sequence[FoldEvaluation]") -> Table:
    """Table of the mIoU of every fold, means, FB-IoU and name test."""
    from groupvit.evaluation.reports.folds import HEADERS, rows

    title = f"{folded.name}: mIoU of the held-out classes [%]"
    table = Table(box=box.SIMPLE, title=escape(title), title_justify="left")
    table.add_column("")
    for name in (*(f"fold {one.fold.name}" for one in found), *HEADERS):
        table.add_column(name, justify="right")
    for place, row in enumerate(rows(found)):
        table.add_row(row.name, *row.cells, style="" if place else "bold")
    return table


def class_table(found: "Sequence[FoldEvaluation]") -> Table:
    """Table of the IoU of every held-out class."""
    from groupvit.evaluation.reports.folds import class_rows

    table = Table(box=box.SIMPLE, title="IoU by class [%]", title_justify="left")
    table.add_column("fold")
    table.add_column("class")
    for name in ("IoU", "true foreground"):
        table.add_column(name, justify="right")
    for fold, label, *values in class_rows(found):
        table.add_row(fold, escape(label), *values)
    return table


def _open(
    name: str,
    root: Path,
    num_scenes: int,
    masks: tuple[Sequence[str], Literal["upright", "file"] | None],
    *,
    held_out: Sequence[str],
    lists: Path | None,
    training: bool,
) -> "Folded":
    """Open a benchmark with its folds; for training sets, with the images to train on."""
    from groupvit.evaluation.folds import readers

    if name in (readers.PASCAL_5I, readers.COCO_20I):
        if held_out or lists:
            raise InputError(
                f"--held-out and --lists are for other benchmarks; {name} has its own folds"
            )
        read = readers.pascal_5i if name == readers.PASCAL_5I else readers.coco_20i
        return read(root, _shown, training=training)
    if name == "storybook":
        return readers.storybook(num_scenes, _shown, held_out=held_out, training=training)
    opened = open_benchmark(name, root, num_scenes, *masks)
    check_masks(opened)
    return readers.own(opened, _shown, held_out=held_out, lists=lists)


def _shown(benchmark: "Benchmark") -> "tuple[Episode, ...]":
    """Every class of every image, with a progress bar."""
    from groupvit.evaluation.folds.cutting import shown_in

    with counted("masks") as progress:
        return shown_in(benchmark, on_progress=progress)


def _chosen(folded: "Folded", names: Sequence[str]) -> "list[Fold]":
    """Folds of these names; none: all."""
    known = {fold.name: fold for fold in folded.folds}
    for name in names:
        if name not in known:
            raise InputError(
                f"--folds {name!r} is no fold of {folded.name}; its folds are {', '.join(known)}"
            )
    return [known[name] for name in dict.fromkeys(names or known)]


def _candidates(
    models: Sequence[str], words: Sequence[str], thresholds: Sequence[float]
) -> "list[Candidate]":
    from groupvit.evaluation.folds.others import Others
    from groupvit.evaluation.folds.selection import Candidate
    from groupvit.text.prompts import split_words

    rules = [Others(words=split_words(words), threshold=number) for number in thresholds or (None,)]
    return [Candidate(*pair) for pair in product(models, rules)]


def _loader(
    console: Console, options: ModelOptions, labels: Sequence[str], *, device: str
) -> "Callable[[str], Segmenter]":
    """Function that loads a model, keeps the last one, and warns of words that are new to it."""

    @lru_cache(maxsize=1)
    def load(model: str) -> "Segmenter":
        named = replace(options, model=model)
        segmenter = load_model(console, model, partial(named.segmenter, device=device))
        warn_of_unknown_words(console, segmenter, labels)
        return segmenter

    return load


def _write_sets(
    console: Console,
    out: Path,
    folded: "Folded",
    folds: "Sequence[Fold]",
    limit: int | None,
    *,
    with_held_out: bool,
) -> None:
    """Write training sets, and print what they have."""
    from groupvit.evaluation.folds.training_sets import HELD_OUT, TRAINING, write_sets

    with counted("images") as progress:
        numbers = write_sets(
            out, folded, folds, limit=limit, with_held_out=with_held_out, on_progress=progress
        )
    for fold, number in zip(folds, numbers, strict=True):
        below = out / f"fold-{fold.name}"
        names = (below / HELD_OUT).read_text(encoding="utf-8").split("\n")
        console.print(
            f"fold {fold.name}: {number:,} images without {', '.join(filter(None, names))}: "
            f"{below / TRAINING}",
            markup=False,
        )
