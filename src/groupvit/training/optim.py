"""Optimization: frozen parts, AdamW, learning rate schedule, clipping."""

import math
from collections.abc import Iterable, Mapping

from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW

from groupvit.model.groupvit import GroupViT
from groupvit.model.image_encoder import GroupingStage
from groupvit.model.part_encoder import PartEncoder
from groupvit.training.config import Frozen, ObjectiveConfig, OptimConfig

TRUNK = "image_encoder.trunk."
"""Prefix of the parameters of a pretrained trunk."""


def lr_at(step: int, config: OptimConfig, steps: int) -> float:
    """Learning rate of a step, counted from 0, of a run of `steps` steps.

    It rises linearly from `first_lr` and then follows a cosine that starts at step 0, so that it
    is a little below `lr` after the warm-up, as in the original. As there, the schedule advances
    after the update: the first two steps have the same rate.
    """
    step = max(0, step - 1)
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


def freeze_trunk(model: GroupViT, config: OptimConfig) -> None:
    """Exclude the upper half of a pretrained trunk from training unless it has a learning rate."""
    if isinstance(model.image_encoder, PartEncoder) and not config.trunk_lr:
        model.image_encoder.trunk.upper.requires_grad_(requires_grad=False)


def freeze_unused_scales(
    model: GroupViT, losses: ObjectiveConfig, *, num_prompts: int, of_pixels: bool = False
) -> None:
    """Exclude the temperatures that no loss uses: they would decay where ranks train together."""
    of_captions = losses.caption_weight > 0 or of_pixels
    of_prompts = num_prompts > 0 and losses.of_multi_label_scale
    if model.multi_label_log_scale is None:
        of_captions = of_captions or of_prompts
    elif not of_prompts:
        model.multi_label_log_scale.requires_grad = False
    if not of_captions:
        model.log_scale.requires_grad = False


def _grouping_parameters(model: GroupViT) -> set[int]:
    """Identities of the parameters that group: group tokens, their projectors, grouping blocks."""
    if isinstance(model.image_encoder, PartEncoder):
        return set()
    return {
        id(parameter)
        for stage in model.image_encoder.stages
        if isinstance(stage, GroupingStage)
        for name, parameter in stage.named_parameters()
        if not name.startswith("blocks.")
    }


def train_mode(model: nn.Module) -> None:
    """Set training mode, except for batch norms of frozen parts, whose statistics stay fixed."""
    model.train()
    for part in model.modules():
        learns = [parameter.requires_grad for parameter in part.parameters()]
        if learns and not any(learns):
            for module in part.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()


def optimizer_of(model: nn.Module, config: OptimConfig) -> AdamW:
    """AdamW over all parameters that are trained.

    As in the original, parameters of one axis (norms, biases) do not decay, while the temperatures,
    which have none, the positions and the group tokens do. `lr_share` of a group of parameters is
    its learning rate as a multiple of `lr`.
    """
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups = [
        {
            "params": [
                (name, p)
                for name, p in trained
                if _decays(name, p) == decays and name.startswith(TRUNK) == of_trunk
            ],
            "weight_decay": config.weight_decay if decays else 0.0,
            "lr_share": config.trunk_lr / config.lr if of_trunk else 1.0,
        }
        for of_trunk in (False, True)
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
    """Set the learning rate of every parameter group: its share of this one."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_share"]


def clip(model: nn.Module, length: float) -> Float[Tensor, ""]:
    """Scale the gradients down to this L2 norm if theirs is larger; returns theirs."""
    return nn.utils.clip_grad_norm_(
        [parameter for parameter in model.parameters() if parameter.grad is not None], length
    )


def state_of(optimizer: AdamW) -> dict[str, Tensor]:
    """State of the optimizer as tensors named `<parameter>/<state>`."""
    return {
        f"{name}/{what}": value
        for group in optimizer.param_groups
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
        for what, value in optimizer.state[parameter].items()
    }


def restore(optimizer: AdamW, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state that `state_of` returned."""
    names = [name for group in optimizer.param_groups for name in group["param_names"]]
    index_of = {name: index for index, name in enumerate(names)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, what = key.rpartition("/")
        state.setdefault(index_of[name], {})[what] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
