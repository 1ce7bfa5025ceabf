"""Cases from the field: training, shards and the API; see cases.py."""

import re
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from benchmarks.case_runs import EXAMPLE, Case, Done, Seen, groupvit, processes, refusal
from groupvit.data import tar_samples

RENAMED = {
    "token_projector": "patch_projector",
    "token_nouns_weight": "patch_nouns_weight",
    "naming_weight": "partial_label_weight",
    "painting_weight": "segment_distillation_weight",
}
"""Names of settings in the cases, which are older than the package."""
SLOW_EVALUATION = """
import datetime, sys, time, torch.distributed as dist
real = dist.init_process_group
dist.init_process_group = lambda kind: real(kind, timeout=datetime.timedelta(seconds=60))
from groupvit.training import state
scores = state.quick_scores
def slow(*arguments, **options):
    time.sleep(75)
    return scores(*arguments, **options)
state.quick_scores = slow
from groupvit.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""A run whose evaluation takes longer than the time limit of its group of ranks."""


def settings(case: Path, out: Path, name: str) -> Path:
    """Settings beside the cases, with the names of today."""
    text = (case.parent / f"{name}.toml").read_text()
    for old, new in RENAMED.items():
        text = text.replace(old, new)
    text = re.sub(r"(?<=\[data\]\n)(.*\n)image_size = \d+\n", r"\1", text)
    (out / f"{name}.toml").write_text(text)
    return out / f"{name}.toml"


def train(case: Path, out: Path, name: str, *arguments: object) -> Done:
    """Train in the folder `run`."""
    return groupvit("train", settings(case, out, name), "--out", out / "run", *arguments)


def last_caption(case: Path, out: Path) -> Seen:
    """A last caption without nouns."""
    found = groupvit("pairs", case / "last.tar")
    trained = train(case, out, "nouns", "--data.shards", case / "train.tar")
    return Seen(
        f"pairs: exit {found.code}, train: exit {trained.code}, {trained.last()}",
        found.code == trained.code == 0,
    )


def ranks_without_nouns(case: Path, out: Path) -> Seen:
    """Joint batches without nouns on two ranks."""
    shards = ("--data.shards", case / "rare.tar")
    small = ("--data.batch-size", "4", "--data.num-workers", "1", "--out", out / "ranks")
    done = processes("-m", "groupvit", "train", settings(case, out, "nouns"), *shards, *small)
    alone = train(
        case,
        out,
        "nouns",
        *shards,
        *("--objective.caption-weight", "0", "--objective.multi-label-weight", "0"),
    )
    text = f"two ranks: exit {done.code}; one process, losses on nouns alone: exit {alone.code}"
    return Seen(text, done.code == alone.code == 0)


def small_vocabulary(case: Path, out: Path) -> Seen:
    """A tokenizer that fits a smaller vocabulary."""
    from transformers import AutoProcessor, GroupViTModel

    shard = case.parent / "training-06-bad-shard-dead-end" / "good.tar"
    train(case, out, "tiny", "--data.shards", shard)
    done = groupvit("convert", out / "run", out / "hf", "--to", "huggingface")
    model = GroupViTModel.from_pretrained(out / "hf").eval()
    read = AutoProcessor.from_pretrained(out / "hf")
    inputs = read(
        text=["a dog on the grass", "a boat"],
        images=Image.open(EXAMPLE).convert("RGB"),
        return_tensors="pt",
        padding="max_length",
        truncation=True,
    )
    logits = model(**inputs).logits_per_image
    largest = int(inputs["input_ids"].max())
    text = f"convert: exit {done.code}; largest token {largest}, logits {tuple(logits.shape)}"
    return Seen(text, largest < model.config.text_config.vocab_size)


def bad_shard(case: Path, out: Path) -> Seen:
    """A shard that has to be left out of a run."""
    shards = ("--data.shards", case / "good.tar")
    given = ("--save-every", "1", "--data.num-workers", "0")
    first = refusal(train(case, out, "tiny", *shards, case / "bad.tar", *given), "bad.tar")
    second = refusal(train(case, out, "tiny", *shards, *given), "--changed data.shards")
    third = train(case, out, "tiny", *shards, *given, "--changed", "data.shards")
    return Seen(
        f"{first.text}; left out: {second.text}; with --changed data.shards: exit {third.code}",
        third.code == 0,
    )


def latest_deleted(case: Path, out: Path) -> Seen:
    """A run that lost its `latest`."""
    shards = ("--data.shards", case.parent / "training-06-bad-shard-dead-end" / "good.tar")
    train(case, out, "tiny", *shards, "--steps", "8")
    (out / "run" / "latest").unlink()
    lost = refusal(train(case, out, "tiny", *shards, "--steps", "9"), "is missing", "step-0000")
    (out / "run" / "latest").touch()
    empty = refusal(train(case, out, "tiny", *shards, "--steps", "9"), "is empty", "step-0000")
    return Seen(f"deleted: {lost.text}; empty: {empty.text}", lost.right and empty.right)


def captions_of(shard: Path) -> list[str]:
    """Captions of a shard, in its order."""
    return [one for sample in tar_samples.read(shard).samples for one in sample.captions]


def line_breaks(case: Path, out: Path) -> Seen:
    """A caption with a line break, written by img2dataset."""
    copy = out / "00000.tar"
    copy.write_bytes((case / "00000.tar").read_bytes())
    found, number = captions_of(copy), len(list(tar_samples.read(copy).samples))
    folder = train(case, out, "tiny", "--data.shards", case)
    right = len(found) == number and any("two lines of" in one for one in found)
    return Seen(
        f"{number} images, {len(found)} captions such as {found[0]!r}; "
        f"a folder of shards: exit {folder.code}",
        right and folder.code == 0,
    )


def dots_in_keys(case: Path, out: Path) -> Seen:
    """Members whose suffix is foreign."""
    done = train(case, out, "tiny", "--data.shards", case / "dots.tar")
    return refusal(done, "foreign suffix", "first dot")


def openapi(_: Path, __: Path) -> Seen:
    """The description from which clients are generated."""
    from groupvit import Segmenter
    from groupvit.serving.application import application

    app = application(Segmenter.load("storybook"), name="storybook", page=False)
    described = app.openapi()
    content = described["paths"]["/v1/segment"]["post"]["requestBody"]["content"]
    body = content["multipart/form-data"]["schema"]
    if "$ref" in body:
        body = described["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    image = body["properties"]["image"]
    return Seen(f"image: {image['type']}, {image.get('format')}", image.get("format") == "binary")


def slow_evaluation(case: Path, out: Path) -> Seen:
    """An evaluation that takes longer than the time limit of the ranks."""
    script = out / "slow.py"
    script.write_text(SLOW_EVALUATION)
    shard = case.parent / "training-06-bad-shard-dead-end" / "good.tar"
    groupvit(
        "storybook", "--out", out / "book", "--num", 1, "--test", 2, "--workers", 1, "--size", 32
    )
    given = ("--evaluate-folder", out / "book" / "test", "--data.num-workers", "1")
    given += ("--steps", "3", "--optim.warmup-steps", "1", "--out", out / "run")
    done = processes(script, "train", settings(case, out, "tiny"), "--data.shards", shard, *given)
    log = out / "run" / "log.jsonl"
    if not log.exists():
        return Seen(f"exit {done.code}: {done.text[-300:]}", right=False)
    scored = "miou" in log.read_text()
    return Seen(f"exit {done.code}, scores in the log: {scored}", done.code == 0 and scored)


def pack(table: str, check: Callable[[str, list[str]], bool]) -> Callable[[Path, Path], Seen]:
    """A case of `pack`, whose table of results and captions are checked."""

    def run(case: Path, out: Path) -> Seen:
        done = groupvit("pack", case / table, "--out", out / "out")
        if done.code:
            return refusal(done)
        captions = captions_of(next((out / "out").glob("*.tar")))
        table_of = [line.strip() for line in done.text.splitlines() if line.startswith("left out")]
        packed = re.findall(r"packed\s+(\d+)\s+images", done.text)
        return Seen(
            f"{packed[0]} packed; {'; '.join(table_of) or 'none left out'}; captions {captions}",
            check(packed[0], captions),
        )

    return run


TRAINING_CASES = {
    "training-01-last-caption-without-nouns": Case("a table, and a run", last_caption),
    "training-03-two-ranks-no-nouns": Case("both runs end with 0", ranks_without_nouns),
    "training-05-convert-small-vocabulary": Case("transformers computes", small_vocabulary),
    "training-06-bad-shard-dead-end": Case("the run resumes without it", bad_shard),
    "training-07-latest-deleted": Case("refused, checkpoints named", latest_deleted),
    "training-09-img2dataset-newline": Case(
        "a caption of each image; a folder stands for its shards", line_breaks
    ),
    "training-10-dots-in-keys": Case("the reason", dots_in_keys),
    "training-11-openapi-client": Case("a binary file", openapi),
    "training-13-evaluation-time-limit": Case("the run ends with scores", slow_evaluation),
    "training-pack-csv_commas_unquoted": Case(
        "whole captions", pack("t.csv", lambda _, found: "a dog, a cat, and grass" in found)
    ),
    "training-pack-pq_list": Case(
        "no brackets", pack("t.parquet", lambda _, found: not any("[" in one for one in found))
    ),
    "training-pack-tsv_openquote": Case("four images", pack("t.tsv", lambda n, _: n == "4")),
    "training-pack-upper": Case("four images", pack(".", lambda n, _: n == "4")),
}
