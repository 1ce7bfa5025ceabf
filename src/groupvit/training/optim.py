"""What is trained and how: frozen parts, AdamW, warm-up and cosine, clipping."""

import math
from collections.abc import Iterable, Mapping

from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW

from groupvit.model.groupvit import GroupViT
from groupvit.model.image_encoder import GroupingStage
from groupvit.training.config import Frozen, OptimConfig


def lr_at(step: int, config: OptimConfig, steps: int) -> float:
    """Learning rate of the step, counted from 0, of a run of so many steps.

    It rises linearly from `first_lr`, and follows after the warm-up the cosine that began at step
    0: at the switch it is therefore a little below `lr` (reference: the original's schedule).
    """
    if step < config.warmup_steps:
        return config.first_lr + (config.lr - config.first_lr) * step / config.warmup_steps
    share = (1 + math.cos(math.pi * step / steps)) / 2
    return config.last_lr + (config.lr - config.last_lr) * share


def freeze(model: GroupViT, parts: Iterable[Frozen]) -> None:
    """Exclude these parts of the model from training."""
    for part in parts:
        if part == "text":
            model.text_encoder.requires_grad_(requires_grad=False)
            model.text_projector.requires_grad_(requires_grad=False)
        else:
            grouping = _grouping_parameters(model)
            for parameter in model.parameters():
                if id(parameter) not in grouping:
                    parameter.requires_grad = False


def _grouping_parameters(model: GroupViT) -> set[int]:
    """Identities of the parameters that group: group tokens, their projectors, grouping blocks."""
    return {
        id(parameter)
        for stage in model.image_encoder.stages
        if isinstance(stage, GroupingStage)
        for name, parameter in stage.named_parameters()
        if not name.startswith("blocks.")
    }


def train_mode(model: nn.Module) -> None:
    """Training mode, but for the batch norms of frozen parts, whose statistics stay too."""
    model.train()
    for part in model.modules():
        learns = [parameter.requires_grad for parameter in part.parameters()]
        if learns and not any(learns):
            for module in part.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()


def optimizer_of(model: nn.Module, config: OptimConfig) -> AdamW:
    """AdamW over everything that is trained.

    As in the original, parameters of one axis (norms, biases) do not decay, while the temperatures,
    which have none, the positions and the group tokens do.
    """
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [
        {
            "params": [(name, p) for name, p in trained if _decays(name, p) == decays],
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for decays in (True, False)
    ]
    return AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        fused=True,
    )


def _decays(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim != 1 and not name.endswith(".bias")


def set_lr(optimizer: AdamW, lr: float) -> None:
    """Give every group of parameters this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def clip(model: nn.Module, length: float) -> Float[Tensor, ""]:
    """Scale the gradients down to this length, if they are longer; returns what they had."""
    return nn.utils.clip_grad_norm_(
        [parameter for parameter in model.parameters() if parameter.grad is not None], length
    )


def state_of(optimizer: AdamW) -> dict[str, Tensor]:
    """What the optimizer remembers, as tensors named `<parameter>/<what>`."""
    return {
        f"{name}/{what}": value
        for group in optimizer.param_groups
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
        for what, value in optimizer.state[parameter].items()
    }


def restore(optimizer: AdamW, tensors: Mapping[str, Tensor]) -> None:
    """Give the optimizer back what `state_of` told."""
    names = [name for group in optimizer.param_groups for name in group["param_names"]]
    index_of = {name: index for index, name in enumerate(names)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, what = key.rpartition("/")
        state.setdefault(index_of[name], {})[what] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
