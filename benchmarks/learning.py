"""A step of training at the released size, against a plain loop around the port in transformers.

Both sides start from the same weights and learn from the same batch: pictures of drawn scenes, each
with its caption and three prompts, by the contrastive and the multi-label loss. The plain loop is
written as one would from the paper: every text padded to 77 tokens and encoded, dense targets,
AdamW as torch makes it.
"""

import copy
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contest import Run
from groupvit.data.batch import Batch
from groupvit.data.config import AugmentationConfig, DataConfig
from groupvit.data.loader import Batches
from groupvit.distributed import Ranks
from groupvit.model import layers, text_encoder
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.preparation import normalise
from groupvit.storybook.workers import write
from groupvit.storybook.writing import Storybook
from groupvit.text.tokenizer import Tokenizer
from groupvit.training import optim
from groupvit.training.config import ObjectiveConfig, OptimConfig
from groupvit.training.step import forward_backward
from groupvit.training.towers import Heads, Towers

CLIP, CONTEXT = 5.0, 77
OPTIM = OptimConfig(lr=1e-4)
PLAIN = AugmentationConfig(rand_augment_ops=0, erasing=0)


def drawn_batch(size: int, *, num_prompts: int = 3) -> Batch:
    """Pictures of 224 pixels with their captions and prompts."""
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
    model: GroupViT, batch: Batch, autocast: torch.dtype | None, *, chunk: int | None = None
) -> Run:
    """A step of `groupvit train`, augmentation and reading left out."""
    model = copy.deepcopy(model).train()
    optimizer = optim.optimizer_of(model, OPTIM)
    towers, heads = Towers(model), Heads(model)
    images, ranks = normalise(batch.images), Ranks()

    def step() -> Tensor:
        optimizer.zero_grad()
        result = forward_backward(
            towers, heads, images, batch, ObjectiveConfig(), ranks, chunk=chunk, autocast=autocast
        )
        optim.clip(model, CLIP)
        optimizer.step()
        return result.losses["total"]

    return step


def plain_step(port: nn.Module, batch: Batch, autocast: torch.dtype | None) -> Run:
    """The same around `transformers.GroupViTModel`."""
    port = copy.deepcopy(port).train()
    optimizer = AdamW(port.parameters(), lr=OPTIM.lr, weight_decay=OPTIM.weight_decay)
    images = normalise(batch.images)
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
    """The batch with every text at the full length of 77 tokens."""
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
    """Cross entropy of the rows and of the columns, with targets that are shared out."""
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
    """Leaves out what makes a step of ours faster: `cut`, `once`."""
    plain: dict[str, tuple[object, str, Callable[..., Tensor]]] = {
        "cut": (text_encoder, "trim", lambda tokens: tokens),
        "once": (Towers, "_encode_texts", every_text),
        "plain attention": (layers, "attend", fused),
    }
    patches = [patch.object(*plain[name]) for name in names]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def every_text(towers: Towers, tokens: Tensor) -> Tensor:
    """Texts encoded as they come, those that repeat too."""
    rows = rearrange(tokens, "batch text position -> (batch text) position")
    text = towers.text_encoder(rows)
    return rearrange(text, "(batch text) dim -> batch text dim", batch=len(tokens))


def fused(query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False) -> Tensor:
    """The fused kernel, always."""
    return F.scaled_dot_product_attention(query, key, value, is_causal=causal)
