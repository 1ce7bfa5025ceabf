"""Initial values of all parameters, in one place: the distributions of the original."""

import math
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from groupvit.model.image_encoder import GroupingStage, ImageEncoder, PositionEmbedding
from groupvit.model.layers import Block
from groupvit.model.text_encoder import TextEncoder

INITIAL_LOG_SCALE = math.log(1 / 0.07)
"""Initial logarithm of the inverse temperature."""


def init_weights(model: nn.Module) -> None:
    """Draw every parameter from torch's global generator.

    ==============================  ====================================================
    image: linear maps              normal, deviation 0.02; bias 0
    image: patches                  torch's default for convolutions
    image: positions                normal, deviation 0.02
    image: group tokens             normal, deviation `token_std` of the grouping block in the first
                                    stage, `later_token_std` in the others; 0 where that is 0
    text: token embedding           normal, deviation 0.02
    text: positions                 normal, deviation 0.01
    text: qkv                       normal, deviation dim^-1/2; bias 0
    text: attention out, MLP out    normal, deviation (dim * 2 * depth)^-1/2; attention bias 0
    text: MLP in                    normal, deviation (2 * dim)^-1/2
    norms                           1 and 0
    projectors                      torch's defaults
    ==============================  ====================================================
    """
    for part in model.children():
        if isinstance(part, ImageEncoder):
            init_image_encoder(part)
        if isinstance(part, TextEncoder):
            init_text_encoder(part)


def init_image_encoder(encoder: ImageEncoder) -> None:
    """Draw the image encoder; see `init_weights`."""
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
    if isinstance(encoder.positions, PositionEmbedding):
        nn.init.trunc_normal_(encoder.positions.weight, std=0.02)
    for index, stage in enumerate(encoder.stages):
        if isinstance(stage, GroupingStage):
            std = stage.grouping.later_token_std if index else stage.grouping.token_std
            if std:
                nn.init.trunc_normal_(stage.group_token, std=std)


def init_text_encoder(encoder: TextEncoder) -> None:
    """Draw the text encoder; see `init_weights`."""
    depth, dim = len(encoder.blocks), encoder.tokens.embedding_dim
    nn.init.normal_(encoder.tokens.weight, std=0.02)
    nn.init.normal_(encoder.positions, std=0.01)
    for block in encoder.blocks:
        assert isinstance(block, Block)
        nn.init.normal_(block.attn.qkv.weight, std=dim**-0.5)
        nn.init.zeros_(block.attn.qkv.bias)
        nn.init.zeros_(block.attn.proj.bias)
        for out in (block.attn.proj, block.mlp.fc2):
            nn.init.normal_(out.weight, std=(2 * depth * dim) ** -0.5)
        nn.init.normal_(block.mlp.fc1.weight, std=(2 * dim) ** -0.5)


class NoInitialization(TorchFunctionMode):
    """Context in which `nn.init` does nothing, for models whose values are loaded.

    On the meta device its first call takes more than a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the function, unless it is one of `nn.init`."""
        if getattr(func, "__module__", None) == nn.init.__name__:
            return None
        return func(*args, **(kwargs or {}))
