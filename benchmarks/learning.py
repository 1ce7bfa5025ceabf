"""Training step at the released size, versus a plain loop around the port in transformers.

Both sides start from the same weights and train on the same batch: images of drawn scenes, each
with its caption and three prompts, with the contrastive and the multi-label loss. The plain loop is
a direct implementation of the paper: every text padded to 77 tokens and encoded, dense targets,
AdamW with the defaults of torch.
"""

import copy
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contest import Contest, Run, compare, in_turn, markdown, milliseconds, peak
from benchmarks.segmenting import peer
from groupvit.data.batch import Batch
from groupvit.data.config import AugmentationConfig, DataConfig
from groupvit.data.loader import Batches
from groupvit.distributed import Ranks
from groupvit.model import layers, text_encoder
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.preparation import normalize
from groupvit.segmentation.segmenter import Segmenter
from groupvit.storybook.workers import write
from groupvit.storybook.writing import Storybook
from groupvit.text.tokenizer import Tokenizer
from groupvit.training import optim
from groupvit.training.config import ObjectiveConfig, OptimConfig
from groupvit.training.step import forward_backward, passes_of
from groupvit.weights import catalogue

CLIP, CONTEXT = 5.0, 77
OPTIM = OptimConfig(lr=1e-4)
PLAIN = AugmentationConfig(rand_augment_ops=0, erasing=0.0)
PAIRS = 16
LEFT_OUT = {
    "": (),
    "texts padded to 77 tokens, not to the longest": ("cut",),
    "repeated texts encoded again": ("once",),
    "both of these": ("cut", "once"),
    "fused attention instead of two products": ("products",),
    "AdamW in a loop instead of fused": ("optimizer",),
}
"""Variants of our step: the optimizations that each leaves out."""


def tables(rounds: int, *, compiled: bool = True) -> Iterator[tuple[str, str]]:
    """Tables with their names."""
    model, batch = catalogue.load("random").model, drawn_batch(PAIRS)
    port = peer(Segmenter(model)).model
    rows = []
    for dtype in (None, torch.bfloat16):
        ours, theirs = our_step(model, batch, dtype), plain_step(port, batch, dtype)
        name = "float32" if dtype is None else "bfloat16"
        (row,) = compare([Contest(name, ours, theirs)], rounds)
        best = (
            1000 * operations(our_step(model, batch, torch.bfloat16)) / peak(dtype or torch.float32)
        )
        rows.append([*row, f"{best:.0f}"])
    yield (
        "training",
        markdown(("", "ours [ms]", "plain loop [ms]", "ratio", "our floor [ms]"), rows),
    )
    steps = {
        name: leaving_out(*names, model=model, batch=batch) for name, names in LEFT_OUT.items()
    }
    steps["gradient caching in chunks of 4"] = our_step(model, batch, torch.bfloat16, chunk=4)
    if compiled:
        steps["compiled"] = our_step(model, batch, torch.bfloat16, compiled=True)
    times = in_turn(list(steps.values()), rounds)
    whole = statistics.median(times[0])
    yield (
        "training parts",
        markdown(
            ("our step in bfloat16", "[ms]", "relative"),
            [
                [
                    name or "all optimizations",
                    milliseconds(some),
                    f"{statistics.median(some) / whole:.2f}",
                ]
                for name, some in zip(steps, times, strict=True)
            ],
        ),
    )


def drawn_batch(size: int, *, num_prompts: int = 3) -> Batch:
    """Images of 224 pixels with their captions and prompts."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "book"
        write(out, Storybook(num=size, size=224, num_test=0), workers=1)
        config = DataConfig(
            shards=tuple(str(path) for path in sorted(out.rglob("*.tar"))),
            batch_size=size,
            num_prompts=num_prompts,
            augmentation=PLAIN,
        )
        return Batches(config, Tokenizer(), seed=0)[0]


def our_step(
    model: GroupViT,
    batch: Batch,
    autocast: torch.dtype | None,
    *,
    chunk: int = 0,
    compiled: bool = False,
) -> Run:
    """Step of `groupvit train`, without augmentation and reading."""
    model = copy.deepcopy(model).train()
    if compiled:
        model.image_encoder.compile()
        model.text_encoder.compile()
    optimizer = optim.optimizer_of(model, OPTIM)
    images, ranks, config = normalize(batch.images), Ranks(), ObjectiveConfig()
    passes = passes_of(model, ranks, config, chunk=chunk)

    def step() -> Tensor:
        optimizer.zero_grad()
        result = forward_backward(passes, images, batch, config, ranks, autocast=autocast)
        optim.clip(model, CLIP)
        optimizer.step()
        return result.losses["total"]

    return step


def plain_step(port: nn.Module, batch: Batch, autocast: torch.dtype | None) -> Run:
    """Step of the plain loop around `transformers.GroupViTModel`."""
    port = copy.deepcopy(port).train()
    optimizer = AdamW(port.parameters(), lr=OPTIM.lr, weight_decay=OPTIM.weight_decay)
    images = normalize(batch.images)
    tokens = rearrange(padded(batch).tokens, "batch text position -> (batch text) position")

    def step() -> Tensor:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast is not None):
            image = port.visual_projection(port.vision_model(pixel_values=images).pooler_output)
            texts = port.text_projection(port.text_model(input_ids=tokens).pooler_output)
        loss = plain_loss(image.float(), texts.float(), port.logit_scale.exp())
        loss.backward()
        nn.utils.clip_grad_norm_(port.parameters(), CLIP)
        optimizer.step()
        return loss.detach()

    return step


def padded(batch: Batch) -> Batch:
    """Batch with every text padded to 77 tokens."""
    tokens = F.pad(batch.tokens, (0, CONTEXT - batch.tokens.shape[-1]))
    return batch._replace(tokens=tokens)


def plain_loss(image: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """Contrastive and multi-label loss, with dense targets, in the released code's form."""
    image, texts = F.normalize(image, dim=-1), F.normalize(texts, dim=-1)
    texts = rearrange(texts, "(batch text) dim -> batch text dim", batch=len(image))
    caption, prompts = texts[:, 0], rearrange(texts[:, 1:], "batch text dim -> (batch text) dim")
    own = torch.eye(len(image))
    several = own.repeat_interleave(texts.shape[1] - 1, dim=1)
    return both_ways(scale * image @ caption.T, own) + both_ways(scale * image @ prompts.T, several)


def both_ways(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy over rows and over columns, with targets normalized to sum to 1."""
    rows = F.cross_entropy(logits, targets / targets.sum(dim=1, keepdim=True))
    columns = F.cross_entropy(logits.T, targets.T / targets.T.sum(dim=1, keepdim=True))
    return (rows + columns) / 2


def operations(run: Run) -> int:
    """Floating point operations of the matrix products of a run, counted by torch."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Context without some optimizations of our step; see `LEFT_OUT`."""
    plain: dict[str, tuple[object, str, object]] = {
        "cut": (text_encoder, "trim", lambda tokens: tokens),
        "once": (GroupViT, "encode_texts", every_text),
        "products": (layers, "attend", fused),
        "optimizer": (optim, "AdamW", looping_adamw),
    }
    with ExitStack() as patches:
        for name in names:
            patches.enter_context(patch.object(*plain[name]))
        yield


def leaving_out(*names: str, model: GroupViT, batch: Batch) -> Run:
    """Step in bfloat16 without some optimizations."""
    with without(*names):
        step = our_step(model, padded(batch) if "cut" in names else batch, torch.bfloat16)

    def run() -> object:
        with without(*names):
            return step()

    return run


def looping_adamw(*arguments: Any, fused: bool, **options: Any) -> AdamW:
    """AdamW in a loop over parameters, the default of torch on a CPU."""
    assert fused
    return AdamW(*arguments, **options)


def every_text(model: GroupViT, tokens: Tensor) -> Tensor:
    """All texts encoded, repeated ones again."""
    rows = rearrange(tokens, "batch text position -> (batch text) position")
    text = model.text_encoder(rows)
    return rearrange(text, "(batch text) dim -> batch text dim", batch=len(tokens))


def fused(query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False) -> Tensor:
    """Attention by the fused kernel, whatever the shape."""
    return F.scaled_dot_product_attention(query, key, value, is_causal=causal)
