"""State of a training run: model, optimizer, EMA; one step, its evaluation, its checkpoint.

Every step seeds torch's generators from the seed of the run, the step and the rank. Its random
numbers (drop path, Gumbel noise, augmentation) therefore depend on no earlier step, and a run that
is resumed from a checkpoint equals the uninterrupted run bit for bit.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from groupvit.data.augmentation import augment
from groupvit.data.batch import Batch
from groupvit.data.index import Shard
from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.during_training import quick_scores
from groupvit.model.efficientnet import Middle
from groupvit.model.groupvit import GroupViT
from groupvit.model.image_encoder import MakeGrouping, grouping_block
from groupvit.segmentation.preparation import normalize
from groupvit.text.coverage import Coverage, most_frequent
from groupvit.text.nouns import merged_plurals
from groupvit.training import batch_norm, checkpoints, optim
from groupvit.training.checkpoints import Progress, Snapshot
from groupvit.training.config import TrainingConfig
from groupvit.training.ema import EMA
from groupvit.training.group_usage import GroupUsage, summary
from groupvit.training.log import Record
from groupvit.training.pixels import PixelLoss
from groupvit.training.pretrained import start_from_trunk
from groupvit.training.run_folder import RunFolder
from groupvit.training.signals import StopRequest
from groupvit.training.start import fitted
from groupvit.training.step import StepResult, forward_backward, passes_of
from groupvit.weights import catalogue, checkpoint


class Done(NamedTuple):
    """Result of one step."""

    result: StepResult
    """Losses, accuracy and group usage on this rank."""
    gradient: Float[Tensor, ""]
    """L2 norm of the gradient before clipping."""
    lr: float
    """Learning rate."""
    skipped: bool
    """True if a loss or gradient was not finite, so that nothing was updated."""
    stopping: bool
    """True if any rank received a request to stop."""


class TrainingState:
    """Everything that changes during a run.

    Args:
        config: Settings.
        ranks: Processes that train together.
        run: Run folder; if it holds a checkpoint, the state starts from the latest.
        make_grouping: Maker of the grouping blocks, for blocks of your own.
        nouns: Occurrences of the nouns in all captions, which the main rank saves with the model.
        distilled: Class names that are distilled or have masks, which it saves too.
        shards: Shards of the training, which a pretrained trunk begins with; None leaves it drawn
            at random, for estimates of time and memory.

    Raises:
        InputError: The checkpoint, or the model to start from, does not fit.
    """

    def __init__(
        self,
        config: TrainingConfig,
        ranks: Ranks,
        run: RunFolder,
        *,
        make_grouping: MakeGrouping = grouping_block,
        nouns: Mapping[str, int] = MappingProxyType({}),
        distilled: tuple[str, ...] = (),
        shards: Sequence[Shard] | None = None,
    ) -> None:
        self.config, self.ranks, self._run = config, ranks, run
        latest = run.latest()
        model, self.start_notes, earlier = _first_model(config, make_grouping, latest)
        if latest is None and not config.start and shards is not None:
            start_from_trunk(model, shards, config.data)
        model = model.to(ranks.device)
        batch_norm.synchronize(model, ranks)
        optim.freeze(model, config.freeze)
        optim.freeze_trunk(model, config.optim)
        optim.freeze_unused_scales(
            model,
            config.objective,
            num_prompts=config.data.num_prompts,
            of_pixels=bool(config.data.masks) and not config.objective.pixel_scale,
        )
        self.state = Snapshot(
            model,
            optim.optimizer_of(model, config.optim),
            EMA(model, config.ema_decay) if config.ema_decay else None,
            Progress(global_batch_size=config.data.batch_size * ranks.world_size),
            config.inference,
            _coverage(config, nouns, distilled, earlier),
        )
        if latest is not None:
            self.state = checkpoints.read(latest, self.state)
        optim.train_mode(model)
        if config.compile:
            model.image_encoder.compile()
            model.text_encoder.compile()
        self._pixels = _pixel_loss(config) if config.data.masks else None
        self._passes = passes_of(
            model, ranks, config.objective, chunk=config.chunk, pixels=self._pixels
        )
        self._generator = torch.Generator(ranks.device)

    @property
    def progress(self) -> Progress:
        """Counters of the run."""
        return self.state.progress

    def due(self, every: int) -> bool:
        """True after every `every` steps and after the last."""
        return self.progress.step % every == 0 or self.progress.step == self.config.steps

    def step(self, batch: Batch, stop: StopRequest) -> Done:
        """Train on a batch; nothing is updated if the loss or the gradient is not finite."""
        model, optimizer, average, progress, *_ = self.state
        self._seed(progress.step)
        optimizer.zero_grad()
        statistics = [buffer.clone() for buffer in model.buffers()]
        result = self._forward_backward(batch)
        gradient = optim.clip(model, self.config.optim.clip)
        lr = optim.lr_at(progress.step, self.config.optim, self.config.steps)
        broken = not (result.losses["total"] + gradient).isfinite()
        signs = torch.tensor([broken, stop.received_any, batch.damaged], device=self.ranks.device)
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
        """Raise after too many consecutive skipped steps.

        Resuming would meet the same steps again, so the remedy is another run.

        Raises:
            InputError: There were too many; the message names the last checkpoint.
        """
        count, latest = self.progress.skipped_in_a_row, self._run.latest()
        if count > self.config.max_skipped:
            start = "" if latest is None else f", for example from --start {latest}"
            raise InputError(
                f"the loss or the gradient was not finite in {count} consecutive steps; "
                f"start another --out with a lower optim.lr{start}"
            )

    def record(self, done: Done) -> Record:
        """Numbers of a step, averaged over the ranks; all ranks must call it."""
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

    def evaluate(self, benchmark: Benchmark) -> tuple[Record, bool]:
        """Scores on the first images, and True if they are the best so far; only on rank 0."""
        scores: Record = {}
        if self.ranks.is_main:
            with torch.compiler.set_stance("force_eager"):  # other sizes would be compiled again
                scores = quick_scores(
                    self.state.evaluated,
                    benchmark,
                    inference=self.config.inference,
                    limit=self.config.evaluate_limit,
                    device=self.ranks.device,
                )
        self.ranks.barrier()
        return scores, self.progress.score(scores.get("miou", -1.0))

    def save(self, *, best: bool) -> None:
        """Write a checkpoint on the main rank."""
        if self.ranks.is_main:
            self._run.save(self.state, best=best, keep=self.config.keep_last)

    def _seed(self, step: int) -> None:
        torch.manual_seed(seed_of(self.config.seed, 1 + step, self.ranks.rank, 0))
        self._generator.manual_seed(seed_of(self.config.seed, 1 + step, self.ranks.rank, 1))

    def _inputs(self, batch: Batch) -> Float[Tensor, "batch 3 height width"] | Middle:
        """Input of the image encoder: augmented images, or stored maps as they are."""
        if batch.features is not None:
            return Middle(batch.features.middle.float())
        if batch.masks is not None:  # they were flipped with their images
            return normalize(batch.images)
        return augment(batch.images, self.config.data.augmentation, generator=self._generator)

    def _forward_backward(self, batch: Batch) -> StepResult:
        moved = batch.to(self.ranks.device)
        return forward_backward(
            self._passes,
            self._inputs(moved),
            moved,
            self.config.objective,
            self.ranks,
            autocast=torch.bfloat16 if self.config.precision == "bfloat16" else None,
            pixels=self._pixels,
        )


def seed_of(*keys: int) -> int:
    """A seed of 64 bits from some numbers."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0])


class _First(NamedTuple):
    """Model at the beginning of a run, notes about its start, and what it was trained with."""

    model: GroupViT
    notes: list[str]
    coverage: Coverage | None
    """None: its weights are random."""


def _first_model(
    config: TrainingConfig, make_grouping: MakeGrouping, latest: Path | None
) -> _First:
    """Model at the beginning, the same on all ranks; a checkpoint is read into it later."""
    torch.manual_seed(seed_of(config.seed))
    fresh = GroupViT(config.model, make_grouping=make_grouping)
    if latest is not None:
        return _First(fresh, [], checkpoint.read_coverage(latest))
    if not config.start:
        return _First(fresh, [], None)
    start = catalogue.load(config.start)
    values, notes = fitted(fresh.state_dict(), start.model.state_dict())
    model = checkpoint.fill(config.model, values, where=config.start)
    return _First(model, notes, start.coverage if start.origin.trained else None)


def _pixel_loss(config: TrainingConfig) -> PixelLoss:
    """Objective of batches with masks."""
    return PixelLoss(
        naming=config.inference.naming,
        scale=config.objective.pixel_scale,
        spatial=config.model.spatial,
    )


def _coverage(
    config: TrainingConfig,
    nouns: Mapping[str, int],
    distilled: tuple[str, ...],
    earlier: Coverage | None,
) -> Coverage:
    """Coverage of the model after training: without words if those of its start are unknown."""
    is_known = not config.start or earlier is None or earlier.has_words
    words = most_frequent(merged_plurals(nouns)) if is_known else {}
    names = distilled if is_known else ()
    found = Coverage(domain=config.domain, nouns=words, distilled=names)
    return found if earlier is None else found.joined(earlier)
