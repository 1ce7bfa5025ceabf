"""The parts that both towers are made of: attention, MLP, transformer block, drop path, patches."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def attend(
    query: Float[Tensor, "batch head query dim"],
    key: Float[Tensor, "batch head key dim"],
    value: Float[Tensor, "batch head key dim"],
    *,
    causal: bool = False,
) -> Float[Tensor, "batch head query dim"]:
    """Values mixed by the softmax of the scaled products of queries and keys.

    Takes the faster of two equal ways. On a CPU a training step's worth of it in bfloat16 takes the
    fused kernel 1.2 to 8 times as long as two plain products, by the backward; elsewhere the fused
    kernel is as fast or faster (benchmarks/attention.py).
    """
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.requires_grad:
        logits = (query * query.shape[-1] ** -0.5) @ key.mT
        if causal:
            future = torch.ones(logits.shape[-2:], dtype=torch.bool, device=query.device).triu(1)
            logits = logits.masked_fill(future, float("-inf"))
        mixed: Tensor = logits.softmax(dim=-1) @ value
        return mixed
    return F.scaled_dot_product_attention(query, key, value, is_causal=causal)


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x), the activation of CLIP's text tower."""

    def forward(self, x: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """Activate each value."""
        return x * torch.sigmoid(1.702 * x)


class MLP(nn.Module):
    """Two linear maps with an activation between them; `out_dim` is `dim` unless given."""

    def __init__(
        self, dim: int, hidden: int, out_dim: int | None = None, *, act: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU() if act is None else act
        self.fc2 = nn.Linear(hidden, dim if out_dim is None else out_dim)

    def forward(self, x: Float[Tensor, "*axes dim"]) -> Float[Tensor, "*axes out_dim"]:
        """Map the last axis."""
        result: Tensor = self.fc2(self.act(self.fc1(x)))
        return result


class SelfAttention(nn.Module):
    """Attention from every token to every token, or only to those before it."""

    def __init__(self, dim: int, num_heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.causal = causal
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Mix the tokens."""
        query, key, value = rearrange(
            self.qkv(x),
            "batch token (three head dim) -> three batch head token dim",
            three=3,
            head=self.num_heads,
        )
        mixed = attend(query, key, value, causal=self.causal)
        result: Tensor = self.proj(
            rearrange(mixed, "batch head token dim -> batch token (head dim)")
        )
        return result


class CrossAttention(nn.Module):
    """Attention from groups to tokens."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self, groups: Float[Tensor, "batch group dim"], tokens: Float[Tensor, "batch token dim"]
    ) -> Float[Tensor, "batch group dim"]:
        """Values that each group gathers from the tokens."""
        query, key, value = (
            rearrange(x, "batch token (head dim) -> batch head token dim", head=self.num_heads)
            for x in (self.query(groups), self.key(tokens), self.value(tokens))
        )
        gathered = attend(query, key, value)
        result: Tensor = self.proj(
            rearrange(gathered, "batch head group dim -> batch group (head dim)")
        )
        return result


class DropPath(nn.Module):
    """In training, leaves out a branch for some samples and scales it up for the others."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Keep or drop each sample's branch whole."""
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        kept: Tensor = torch.empty_like(x[:, :1, :1]).bernoulli_(keep)
        return x * kept / keep


class Block(nn.Module):
    """A pre-norm transformer block: attention, then MLP, each added to what came in."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        *,
        act: nn.Module | None = None,
        causal: bool = False,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = SelfAttention(dim, num_heads, causal=causal)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, int(dim * mlp_ratio), act=act)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Mix the tokens, then change each."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        changed: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return changed


def in_whole_patches(
    images: Float[Tensor, "batch 3 height width"], patch_size: int
) -> Float[Tensor, "batch 3 padded_height padded_width"]:
    """Images that end within a patch, continued to its end by their last pixels."""
    height, width = images.shape[-2:]
    below, right = -height % patch_size, -width % patch_size
    if below or right:
        images = F.pad(images, (0, right, 0, below), mode="replicate")
    return images


class PatchEmbedding(nn.Module):
    """Cuts images into patches and makes a normalized token of each."""

    proj: nn.Module
    norm: nn.Module

    def __init__(self, patch_size: int, dim: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(3, dim, kernel_size=patch_size, stride=patch_size)
        self.norm = nn.LayerNorm(dim)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches that cover an image of this size [pixels]."""
        return -(-height // self.patch_size), -(-width // self.patch_size)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch token dim"]:
        """Tokens row by row; see `in_whole_patches` for an image that ends within a patch."""
        patches = self.proj(in_whole_patches(images, self.patch_size))
        tokens: Tensor = self.norm(
            rearrange(patches, "batch dim height width -> batch (height width) dim")
        )
        return tokens


class ResidualConvolution(nn.Module):
    """A 3 x 3 convolution added to what came in; it is normalized and activated before."""

    def __init__(self, dim: int, dilation: int = 1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(dim)
        self.conv = _convolution(dim, dim, dilation=dilation)

    def forward(
        self, x: Float[Tensor, "batch dim height width"]
    ) -> Float[Tensor, "batch dim height width"]:
        """Change every place by its neighbors."""
        changed: Tensor = x + self.conv(F.gelu(self.norm(x)))
        return changed


class ConvolutionalStem(PatchEmbedding):
    """Tokens by 3 x 3 convolutions, which see a little beyond their patch.

    Every halving of the sides is a convolution of stride 2; the width doubles each time up to that
    of the tokens. A residual convolution follows each, but for the first; the last is followed by
    one for each dilation, which is how far apart its taps lie: a finer grid needs wider ones to see
    as much of the image.
    Normalization is over the batch: normalized image by image, it learns much more slowly (docs/
    grouping.md).
    Sources: Xiao et al. 2021, Early Convolutions Help Transformers See Better; He et al. 2016,
    Identity Mappings in Deep Residual Networks.
    """

    def __init__(self, patch_size: int, dim: int, dilations: Sequence[int]) -> None:
        super().__init__(patch_size, dim)
        halvings = patch_size.bit_length() - 1
        widths = [dim >> (halvings - 1 - index) for index in range(halvings)]
        layers: list[nn.Module] = [_convolution(3, widths[0], stride=2)]
        for width, wider in pairwise(widths):
            layers += [nn.BatchNorm2d(width), nn.GELU(), _convolution(width, wider, stride=2)]
            if wider < dim:
                layers += [ResidualConvolution(wider)]
        layers += [ResidualConvolution(dim, dilation) for dilation in dilations]
        layers += [nn.BatchNorm2d(dim), nn.GELU()]
        self.proj = nn.Sequential(*layers)
        self.norm = nn.Identity()

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch token dim"]:
        """Tokens row by row, as of patches."""
        # Channels last: on a CPU in bfloat16 the convolutions are up to twice as fast.
        return super().forward(images.contiguous(memory_format=torch.channels_last))


def _convolution(dim: int, wider: int, *, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    # Padded with zeros, the border of an image is a thing of its own, and gets groups of its own.
    return nn.Conv2d(
        dim, wider, 3, stride, padding=dilation, dilation=dilation, padding_mode="replicate"
    )
