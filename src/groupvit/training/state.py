"""What learns: model, optimizer and average of a run, a step of theirs, their score, their saving.

Every step seeds torch's generators from the run's seed, the step and the rank. What a step draws
(drop path, Gumbel noise, augmentation) therefore depends on nothing that happened before, and a run
that goes on from a checkpoint is, bit for bit, the run that never stopped.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from groupvit.data.augmentation import augment
from groupvit.data.batch import Batch
from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.evaluation.during_training import quick_scores
from groupvit.model.groupvit import GroupViT
from groupvit.training import batch_norm, checkpoints, optim
from groupvit.training.checkpoints import Progress, Saved
from groupvit.training.config import TrainingConfig
from groupvit.training.ema import EMA
from groupvit.training.group_usage import GroupUsage, summary
from groupvit.training.log import Record
from groupvit.training.run_folder import RunFolder
from groupvit.training.signals import StopRequest
from groupvit.training.step import StepResult, forward_backward
from groupvit.training.towers import Heads, Towers
from groupvit.weights import catalogue, checkpoint


class Done(NamedTuple):
    """What a step has come to."""

    result: StepResult
    """Losses, accuracy and group_usage, as this rank sees them."""
    gradient: Float[Tensor, ""]
    """Length of the gradient before it was clipped."""
    lr: float
    """Learning rate."""
    skipped: bool
    """Whether there was no update, as a loss or gradient was no finite number."""
    stopping: bool
    """Whether any rank was asked to stop."""


class TrainingState:
    """Everything that changes while a run goes on.

    Args:
        config: The settings.
        ranks: Who trains together.
        run: The folder; if it holds a checkpoint, the learner begins with the latest.

    Raises:
        InputError: The checkpoint, or the model to start from, does not fit.
    """

    def __init__(self, config: TrainingConfig, ranks: Ranks, run: RunFolder) -> None:
        self.config, self.ranks, self._run = config, ranks, run
        latest = run.latest()
        model = _first_model(config, continued=latest is not None).to(ranks.device)
        batch_norm.synchronize(model, ranks)
        optim.freeze(model, config.freeze)
        self.state = Saved(
            model,
            optim.optimizer_of(model, config.optim),
            EMA(model, config.ema_decay) if config.ema_decay else None,
            Progress(global_batch_size=config.data.batch_size * ranks.world_size),
        )
        if latest is not None:
            self.state = checkpoints.read(latest, self.state)
        optim.train_mode(model)
        if config.compile:
            model.image_encoder.compile()
            model.text_encoder.compile()
        self._towers = ranks.wrap(Towers(model, every_stage=config.objective.every_stage))
        heads = Heads(
            model,
            with_prompts=config.data.num_prompts > 0,
            with_segments=config.objective.of_segments,
        )
        self._heads = ranks.wrap(heads)
        self._generator = torch.Generator(ranks.device)

    @property
    def progress(self) -> Progress:
        """How far the run has come."""
        return self.state.progress

    def due(self, every: int) -> bool:
        """Whether something that is done every so many steps, and at the end, is due."""
        return self.progress.step % every == 0 or self.progress.step == self.config.steps

    def step(self, batch: Batch, stop: StopRequest) -> Done:
        """Learn from a batch, unless the loss or the gradient is infinite or no number."""
        model, optimizer, average, progress = self.state
        self._seed(progress.step)
        optimizer.zero_grad()
        statistics = [buffer.clone() for buffer in model.buffers()]
        result = self._forward_backward(batch)
        gradient = optim.clip(model, self.config.optim.clip)
        lr = optim.lr_at(progress.step, self.config.optim, self.config.steps)
        broken = not (result.losses["total"] + gradient).isfinite()
        signs = torch.tensor([broken, stop.asked, batch.damaged], device=self.ranks.device)
        num_broken, num_stopping, damaged = self.ranks.sum(signs).tolist()
        if num_broken:
            for buffer, before in zip(model.buffers(), statistics, strict=True):
                buffer.copy_(before)
        else:
            optim.set_lr(optimizer, lr)
            optimizer.step()
            if average:
                average.update(model, progress.step)
        progress.count(damaged=damaged, skipped=num_broken > 0)
        return Done(result, gradient, lr, num_broken > 0, num_stopping > 0)

    def check_skipped(self) -> None:
        """Refuse to go on after too many skipped steps in a row.

        The same command would meet the same steps again, so the way out is another run.

        Raises:
            InputError: There were too many; the message names the last checkpoint.
        """
        count, latest = self.progress.skipped_in_a_row, self._run.latest()
        if count > self.config.max_skipped:
            start = "" if latest is None else f", if you like from --start {latest}"
            raise InputError(
                f"the loss or the gradient was no finite number in {count} steps in a row; "
                f"begin another --out with a lower optim.lr{start}"
            )

    def record(self, done: Done) -> Record:
        """The numbers of a step, as means over the ranks; all ranks must ask."""
        losses, accuracy, group_usage = done.result
        mean = self.ranks.mean
        means = {name: mean(loss).item() for name, loss in losses.items()}
        return {
            "loss": means.pop("total"),
            **{f"loss/{name}": value for name, value in means.items()},
            "accuracy": mean(accuracy).item(),
            "gradient": done.gradient.item(),
            "lr": done.lr,
            "damaged": self.progress.damaged,
            "skipped": self.progress.skipped,
            **summary(GroupUsage(*map(mean, group_usage))),
        }

    def evaluate(self) -> tuple[Record, bool]:
        """The scores, and whether they are the best so far; only rank 0 knows."""
        scores: Record = {}
        if self.ranks.is_main:
            with torch.compiler.set_stance("force_eager"):  # other sizes would compile anew
                scores = quick_scores(
                    self.state.evaluated,
                    Path(self.config.evaluate_folder),
                    limit=self.config.evaluate_limit,
                    device=self.ranks.device,
                )
        self.ranks.barrier()
        return scores, self.progress.score(scores.get("miou", -1.0))

    def save(self, *, best: bool) -> None:
        """Write a checkpoint, if this is the rank that writes."""
        if self.ranks.is_main:
            self._run.save(self.state, best=best, keep=self.config.keep_last)

    def _seed(self, step: int) -> None:
        torch.manual_seed(seed_of(self.config.seed, 1 + step, self.ranks.rank, 0))
        self._generator.manual_seed(seed_of(self.config.seed, 1 + step, self.ranks.rank, 1))

    def _forward_backward(self, batch: Batch) -> StepResult:
        moved = _on(self.ranks.device, batch)
        return forward_backward(
            self._towers,
            self._heads,
            augment(moved.images, self.config.data.augmentation, generator=self._generator),
            moved,
            self.config.objective,
            self.ranks,
            chunk=self.config.chunk or None,
            autocast=torch.bfloat16 if self.config.precision == "bfloat16" else None,
        )


def _on(device: torch.device, batch: Batch) -> Batch:
    images, tokens, prompt_nouns, caption_nouns = (
        tensor.to(device, non_blocking=True) for tensor in batch[:4]
    )
    return Batch(images, tokens, prompt_nouns, caption_nouns, batch.damaged)


def seed_of(*keys: int) -> int:
    """A seed of 64 bits from some numbers."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0])


def _first_model(config: TrainingConfig, *, continued: bool) -> GroupViT:
    """The model that a run begins with, the same on all ranks."""
    torch.manual_seed(seed_of(config.seed))
    fresh = GroupViT(config.model)
    if not config.start or continued:
        return fresh
    tensors = catalogue.load(config.start).model.state_dict()
    behind = {name: x for name, x in fresh.state_dict().items() if name.startswith("background.")}
    given = behind | {
        name: x for name, x in tensors.items() if name in behind or "background" not in name
    }
    return checkpoint.fill(config.model, given, where=config.start)
