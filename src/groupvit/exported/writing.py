"""Writes an exported model, and compares it with the one that it is made of."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from groupvit.errors import InputError
from groupvit.exported import folder as folders
from groupvit.exported import graphs
from groupvit.exported.folder import Exported, Precision
from groupvit.exported.network import ExportedNetwork
from groupvit.text.prompts import parse_labels, split_labels
from groupvit.text.tokenizer import Tokenizer
from groupvit.weights import checkpoint
from groupvit.weights.checkpoint import LoadedModel

LEAST_COSINE = {"float32": 0.9999, "int8": 0.0}
"""Least cosine of an export; for int8 the difference is reported and not limited."""

TEXTS = ("a photo of a dog.", "a house", "a red balloon above the sea at noon")
"""Texts of the comparison."""


class Difference(NamedTuple):
    """Difference of an output from that of PyTorch."""

    output: str
    """Name of the output."""
    largest: float
    """Largest absolute difference."""
    cosine: float
    """Smallest cosine between a vector and that of PyTorch."""


def write(
    folder: Path,
    loaded: LoadedModel,
    *,
    precision: Precision = "float32",
    labels: Sequence[str] = (),
    overwrite: bool = False,
) -> list[Difference]:
    """Write an exported model; the folder appears whole, and only if it computes the same.

    Args:
        folder: Folder to write.
        loaded: Model.
        precision: Number format of the matrices.
        labels: Labels that are used where none are given.
        overwrite: Replace a model folder that exists.

    Returns:
        Differences from PyTorch on random images of several sizes, and on some texts.

    Raises:
        InputError: A package is missing, a label is wrong, the folder exists already or cannot be
            written, or the exported model computes something else.
    """
    if labels:
        parse_labels(labels)
    graphs.check_packages()
    settings = Exported(
        format=checkpoint.EXPORTED,
        model=loaded.model.config,
        origin=loaded.origin,
        precision=precision,
        inference=loaded.inference,
        background=loaded.background,
        labels=split_labels(labels),
        coverage=loaded.coverage,
    )
    with checkpoint.new_folder(folder, overwrite=overwrite) as beside:
        folders.write_beside_graphs(beside, settings, loaded.model)
        graphs.write(beside, loaded.model, precision)
        found = differences(loaded, ExportedNetwork(beside))
        worst = min(found, key=lambda one: one.cosine)
        if not worst.cosine >= LEAST_COSINE[precision]:
            raise InputError(
                f"exported, the {worst.output} would have a cosine of only {worst.cosine:.4f} with "
                "those of PyTorch; nothing was written"
            )
    return found


def differences(loaded: LoadedModel, exported: ExportedNetwork) -> list[Difference]:
    """Both on the same random images and texts."""
    patch = loaded.model.config.image.patch_size
    side = loaded.model.config.image.image_size
    generator = torch.Generator().manual_seed(0)
    sizes = [(1, side, side), (3, side, side), (1, 2 * side, side + patch)]
    images = [torch.randn(n, 3, *size, generator=generator) for n, *size in sizes]
    text = loaded.model.config.text
    tokens = Tokenizer(text.vocabulary_size)(TEXTS, context_length=text.context_length)
    with torch.inference_mode():
        embedded = [
            (found.embed_image(x).image for found in (exported, loaded.model)) for x in images
        ]
        texts = [(found.encode_text(tokens) for found in (exported, loaded.model))]
        return [_difference("image embeddings", embedded), _difference("text embeddings", texts)]


def _difference(output: str, found: Sequence[Iterable[Tensor]]) -> Difference:
    pairs = [tuple(both) for both in found]
    return Difference(
        output,
        max((one - other).abs().max().item() for one, other in pairs),
        min(F.cosine_similarity(one, other, dim=-1).min().item() for one, other in pairs),
    )
