"""From token ids to a vector for each text: a causal transformer read at the end-of-text token."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from groupvit.model.config import TextEncoderConfig
from groupvit.model.layers import Block, QuickGELU


def trim(tokens: Int[Tensor, "text position"]) -> Int[Tensor, "text length"]:
    """The tokens without the padding that all texts share.

    Nothing after a text's end-of-text token, the highest id, can reach it through causal
    attention, so the encoding of what is left is the same.
    """
    return tokens[:, : int(tokens.argmax(dim=1).max()) + 1]


class TextEncoder(nn.Module):
    """CLIP's text transformer (paper, section 3.3)."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocabulary_size, config.dim)
        self.positions = nn.Parameter(torch.zeros(config.context_length, config.dim))
        self.blocks = nn.ModuleList(
            Block(config.dim, config.num_heads, config.mlp_ratio, act=QuickGELU(), causal=True)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text dim"]:
        """Read every text at its first end-of-text token, the highest id."""
        if not torch.compiler.is_compiling():  # a length read from the data would break the graph
            tokens = trim(tokens)
        x = self.tokens(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        ends = tokens.argmax(dim=1)
        read: Tensor = self.norm(x[torch.arange(x.shape[0], device=x.device), ends])
        return read
