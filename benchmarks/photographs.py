r"""The paper's grouping block and ours, trained and evaluated on photographs.

    python benchmarks/photographs.py --train 'data/flickr8k/train-{000000..000006}.tar' \
        --test data/flickr8k/test-000000.tar --voc data/voc2012 --seeds 0 1 2

Every variant is configs/flickr8k.toml with some settings changed, trained for the same number of
steps. Recall is measured on the test shards; mIoU on a folder such as VOC 2012 with background, at
the published threshold of 0.95, is too low at this scale to compare. An interrupted run resumes; a
finished one is only read.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from grouping import VARIANTS
from tables import Table

from groupvit.data import index, patterns
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.evaluate import evaluate
from groupvit.probes.retrieval import retrieval
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.training import recipes
from groupvit.training.trainer import train
from groupvit.weights import catalogue

RECIPE = Path(__file__).parents[1] / "configs" / "flickr8k.toml"
THRESHOLD = 0.95
CUTOFFS = ("1", "5", "10")


def measure(name: str, seed: int, given: argparse.Namespace) -> dict[str, float]:
    """Scores of a variant, which is trained first unless that is done."""
    config = VARIANTS[name](recipes.load(RECIPE).settings)
    folder = given.out / name.replace(", ", "/").replace(" ", "-") / f"seed-{seed}"
    config = replace(
        config,
        data=replace(config.data, shards=(given.train,)),
        out=str(folder),
        seed=seed,
        steps=given.steps or config.steps,
        keep_last=1,
    )
    scores = folder / "scores.json"
    if not scores.exists():
        assert train(config) == 0
        scores.write_text(json.dumps(scored(folder, given)), encoding="utf-8")
    measured: dict[str, float] = json.loads(scores.read_text(encoding="utf-8"))
    return measured


def scored(run: Path, given: argparse.Namespace) -> dict[str, float]:
    """Recall on the test shards and, with `--voc`, the mIoU."""
    model, _, inference, *_ = catalogue.load(str(run))
    found = retrieval(model.eval(), index.prepare(patterns.expand([given.test]), None))
    measured = {f"captions at {k}": share for k, share in found.captions.at.items()}
    measured |= {f"images at {k}": share for k, share in found.images.at.items()}
    if given.voc:
        protocol = replace(OURS, certainty="score", threshold=THRESHOLD)
        scores = evaluate(
            Segmenter(model, inference=inference, protocol=protocol), read_folder(given.voc)
        )
        measured |= {"mIoU": scores.scores.miou, "oracle mIoU": scores.oracle.miou}
    return measured


def main() -> None:
    """Train the selected variants and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", required=True, help="shards, with ranges in braces")
    parser.add_argument("--test", required=True, help="shards to search in")
    parser.add_argument("--voc", type=Path, help="folder with images/, masks/ and classes.txt")
    parser.add_argument("--variants", nargs="+", default=["ours", "paper"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=0, help="0: those of the settings file")
    parser.add_argument("--out", type=Path, default=Path("runs/photographs"))
    given = parser.parse_args()
    columns = [f"{way} at {k}" for way in ("captions", "images") for k in CUTOFFS]
    columns += ["mIoU", "oracle mIoU"] if given.voc else []
    percent = dict.fromkeys(columns, 100.0)
    given.out.mkdir(parents=True, exist_ok=True)
    table = Table(given.out / "table.md", percent, f"seeds {given.seeds}")
    for name in given.variants:
        table.add(name, [measure(name, seed, given) for seed in given.seeds])


if __name__ == "__main__":
    main()
