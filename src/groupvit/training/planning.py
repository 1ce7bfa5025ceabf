"""Estimate of the time and memory of a run, before it is started.

A few pairs go through a real step on this machine. torch counts its operations, and the tensors
that wait for the backward pass are added up; both grow with the number of pairs. What a device is
then supposed to do in a second comes from its data sheet, or is measured if the run shall be here.
"""

import math
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from groupvit import distributed
from groupvit.data.batch import NOUNS_PER_CAPTION, Batch, ClassPrompts
from groupvit.data.loader import Batches
from groupvit.devices import usable
from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.model.groupvit import GroupViT
from groupvit.text.tokenizer import Tokenizer
from groupvit.training import caching, sources
from groupvit.training.accelerators import GB, Accelerator
from groupvit.training.config import TrainingConfig
from groupvit.training.run_folder import RunFolder
from groupvit.training.signals import StopRequest
from groupvit.training.state import TrainingState

FEW = 4
"""Pairs whose operations and tensors are counted."""
MOST_TIMED = 64
"""Pairs of the steps that are timed; a longer step takes as much more time."""
WARM_UP = 3
"""Steps before the first that counts."""
CAPTION, PROMPT = 16, 9
"""Tokens of texts where there are no shards to look into."""


class Data(NamedTuple):
    """A batch of the run, and what reading it took."""

    batch: Batch
    num_pairs: int | None
    """Pairs in all shards; None if there are no shards, and the texts are made up."""
    seconds: float | None
    """One process reads and decodes a pair in this time; None if features are stored instead."""
    size: float | None
    """A pair in the shards [bytes]."""
    stored: int | None
    """Stored features of all pairs [bytes]; None if images are read."""
    missing: str
    """Reason why there are no shards; empty: there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Work of one step on one device."""

    pairs: int
    """Its batch."""
    operations: float
    """Floating point operations of its matrix products, forward and backward."""
    weights: float
    """Weights, gradients, optimizer state, EMA [bytes]."""
    activations: float
    """Tensors that wait for the backward pass [bytes]."""
    encodings: float
    """Features that gradient caching keeps of the batch [bytes]."""
    gradients: float
    """Gradients, which devices exchange at every step [bytes]."""
    embeddings: float
    """Embeddings of this device's pairs, which all others get [bytes]."""

    def memory(self, devices: int) -> float:
        """All of it [bytes]."""
        buckets = self.gradients if devices > 1 else 0.0
        gathered = self.embeddings * devices
        return self.weights + self.activations + self.encodings + buckets + gathered

    def exchanged(self, devices: int) -> float:
        """Bytes sent in a step: gradients in a ring, embeddings and their gradients."""
        others = devices - 1
        return 2 * others / devices * self.gradients + 2 * others * self.embeddings


class Plan(NamedTuple):
    """Estimate of a run."""

    data: Data
    work: Work
    devices: int
    step: float
    """Computing of a step [seconds]."""
    exchange: float
    """Communication of a step, if none overlaps with computation [seconds]."""
    steps: int

    @property
    def seconds(self) -> float:
        """The whole run [seconds]."""
        return self.steps * (self.step + self.exchange)

    @property
    def rate(self) -> float:
        """Data rate of all devices together [pairs/s]."""
        return self.work.pairs * self.devices / (self.step + self.exchange)


def plan(
    config: TrainingConfig,
    device: Accelerator | None,
    *,
    devices: int,
    efficiency: float,
    link: float,
) -> Plan:
    """Plan a run.

    Args:
        config: Settings of the run.
        device: Accelerator; None: this machine, whose steps are timed.
        devices: Number of accelerators.
        efficiency: Share of its peak that an accelerator reaches.
        link: Speed between devices [10^9 bytes/s].
    """
    data = data_of(config)
    work = work_of(config, data.batch)
    if device is None:
        step = seconds_here(config, data.batch)
        if data.seconds is not None and usable(config.device).type == "cpu":
            # Reading takes its share of the cores that train.
            step += work.pairs * data.seconds / torch.get_num_threads()
    else:
        step = work.operations / device.peak(config.precision) / efficiency
    return Plan(data, work, devices, step, work.exchanged(devices) / (link * GB), config.steps)


def data_of(config: TrainingConfig) -> Data:
    """The first batch of the run, or one of texts of usual lengths if there are no shards.

    Raises:
        InputError: Masks are mixed with captions, so that steps differ, or cannot be used.
    """
    if config.data.masks:
        return _of_masks(config)
    text = config.model.text
    try:
        batches = Batches(
            config.data,
            Tokenizer(text.vocabulary_size),
            seed=config.seed,
            image_size=config.image_size,
            context_length=text.context_length,
        )
    except InputError as error:
        return Data(_with_features(config, _made_up(config)), None, None, None, None, str(error))
    size = sum(shard.num_bytes for shard in batches.shards) / batches.num_samples
    batch = batches[0]
    if config.data.cached_crops:
        stored = caching.num_bytes(config, batches.num_samples)
        return Data(_with_features(config, batch), batches.num_samples, None, None, stored, "")
    start = time.perf_counter()
    _ = batches[1]  # the first one opened files and imported what it needs
    seconds = (time.perf_counter() - start) / config.data.batch_size
    return Data(batch, batches.num_samples, seconds, size, None, "")


def _of_masks(config: TrainingConfig) -> Data:
    """The first batch of a run on masks."""
    if config.data.mask_share < 1:
        raise InputError(
            "batches with masks and with captions take other times, and a plan is for one kind; "
            "set data.mask_share to 1 and leave out data.shards, or leave out data.masks"
        )
    data = sources.opened(config, Ranks())
    batches = data.mixed()
    batch, start = batches[0], time.perf_counter()
    _ = batches[1]
    seconds = (time.perf_counter() - start) / config.data.batch_size
    return Data(batch, sum(map(len, data.masks)), seconds, None, None, "")


def work_of(config: TrainingConfig, batch: Batch) -> Work:
    """Count a step of one device with this batch."""
    pairs = len(batch.images)
    # In bfloat16 attention is written out on a CPU, so that its products are counted too.
    counted = replace(config, precision="bfloat16", chunk=config.chunk and FEW // 2)
    state = _state(counted, Ranks())
    model = state.state.model
    # Forward, and twice as much backward; gradient caching goes forward once more.
    learns = any(parameter.requires_grad for parameter in model.text_encoder.parameters())
    passes = (3 if learns else 1) + (1 if config.chunk else 0)
    of_texts = passes * _text_operations(model, batch)
    some, more = (_first(batch, count) for count in (FEW, 2 * FEW))
    operations = _operations(state, some) - passes * _text_operations(model, some)
    waiting = [_waiting(replace(config, chunk=0), part) for part in (some, more)]
    activations = (waiting[1] - waiting[0]) / FEW  # what does not grow with them is no activation
    parameters = 4.0 * sum(parameter.numel() for parameter in model.parameters())
    learned = 4.0 * sum(p.numel() for p in model.parameters() if p.requires_grad)
    copies = parameters / 2 if config.precision == "bfloat16" else 0
    return Work(
        pairs=pairs,
        operations=operations / FEW * pairs + of_texts,
        weights=parameters + 3 * learned + copies + (parameters if config.ema_decay else 0),
        activations=activations * min(config.chunk or pairs, pairs),
        encodings=_encodings(config, model, some) / FEW * pairs if config.chunk else 0.0,
        gradients=learned,
        embeddings=4.0 * config.model.embedding_dim * (1 + batch.tokens.shape[1]) * pairs,
    )


def seconds_here(config: TrainingConfig, batch: Batch, *, steps: int = 5) -> float:
    """A step on this machine, timed [seconds]."""
    timed = _first(batch, min(MOST_TIMED, len(batch.images)))
    times = []
    with distributed.session(config.device) as ranks:
        state = _state(config, ranks)
        for _ in range(WARM_UP + steps):
            start = time.perf_counter()
            state.step(timed, StopRequest()).result.losses["total"].item()
            times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP:]) * len(batch.images) / len(timed.images)


def _state(config: TrainingConfig, ranks: Ranks) -> TrainingState:
    """Training state at the beginning of a run."""
    with tempfile.TemporaryDirectory() as folder:
        return TrainingState(replace(config, start=""), ranks, RunFolder(Path(folder) / "run"))


def _first(batch: Batch, count: int) -> Batch:
    """First `count` pairs, repeated from the first if there are fewer."""
    which = torch.arange(count) % len(batch.images)
    return batch.rows(which)


def _operations(state: TrainingState, batch: Batch) -> int:
    with FlopCounterMode(display=False) as counter:
        state.step(batch, StopRequest())
    return int(counter.get_total_flops())


def _text_operations(model: GroupViT, batch: Batch) -> float:
    """Of encoding the different texts of a batch, forward."""
    rows = torch.unique(batch.tokens.flatten(0, 1), dim=0)
    longest = rows[rows.argmax(dim=1).argsort(descending=True)[:FEW]]
    with (
        torch.no_grad(),
        FlopCounterMode(display=False) as counter,
        torch.autocast("cpu", torch.bfloat16),
    ):
        model.text_encoder(longest)
    return int(counter.get_total_flops()) / len(longest) * len(rows)


def _encodings(config: TrainingConfig, model: GroupViT, batch: Batch) -> int:
    """Of what gradient caching keeps of this batch [bytes]."""
    with torch.no_grad():
        features, texts = model.encode(batch.images.float(), batch.tokens)
    segments = features.kept(
        len(features.segments) if config.objective.every_stage else 1,
        patches=model.patch_projector is not None,
    )
    return sum(tensor.nbytes for tensor in tree_leaves((segments, texts)))


def _waiting(config: TrainingConfig, batch: Batch) -> int:
    """Sizes of the tensors that wait for the backward pass of a step [bytes]."""
    found: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        if x.ndim < 4 or x.shape[-1] != x.shape[-2]:  # attention, which fused kernels do not keep
            found[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    state = _state(config, Ranks())
    with saved_tensors_hooks(keep, lambda x: x):
        state.step(batch, StopRequest())
    return sum(found.values())


def _made_up(config: TrainingConfig) -> Batch:
    """Texts of usual lengths, all different, and images of noise."""
    size, prompts, side = config.data.batch_size, config.data.num_prompts, config.image_size
    generator = torch.Generator().manual_seed(config.seed)
    end = config.model.text.vocabulary_size - 1
    length = min(CAPTION, config.model.text.context_length)
    tokens = torch.randint(1, end, (size, 1 + prompts, length), generator=generator)
    tokens[:, 0, -1] = end
    tokens[:, 1:, min(PROMPT, length) - 1] = end
    tokens[:, 1:, min(PROMPT, length) :] = 0
    nouns = 1 + torch.arange(size * prompts).reshape(size, prompts)
    named = torch.zeros(size, NOUNS_PER_CAPTION, dtype=torch.int64)
    named[:, :prompts] = nouns[:, :NOUNS_PER_CAPTION]
    shape = size, 3, side, side
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    counted = config.data.nouns_of == "image" or config.data.merge_plurals
    prior = torch.full(nouns.shape, -math.log(size)) if counted else None
    return Batch(images, tokens, nouns, named, 0, prior)


def _with_features(config: TrainingConfig, batch: Batch) -> Batch:
    """The batch with maps of noise in place of its images, if the run reads stored features."""
    if not config.data.cached_crops:
        return batch
    features = caching.empty(config, len(batch.images))
    noise = torch.randn(features.middle.shape, generator=torch.Generator().manual_seed(config.seed))
    features = features._replace(middle=noise.to(features.middle.dtype))
    return _with_class_prompts(
        config, batch._replace(images=batch.images[..., :0, :0], features=features)
    )


def _with_class_prompts(config: TrainingConfig, batch: Batch) -> Batch:
    """The batch with prompts of the first class names, if the run draws any."""
    count = config.data.class_prompts
    if not count:
        return batch
    assert batch.features is not None
    size = len(batch.images)
    names = torch.arange(size * count).view(size, count)
    places = torch.zeros_like(batch.features.class_ids, dtype=torch.int64)
    prompts = ClassPrompts(names, torch.full(names.shape, -math.log(size * count)), places)
    tokens = torch.cat([batch.tokens, batch.tokens[:, :1].expand(-1, count, -1)], dim=1)
    return batch._replace(tokens=tokens, class_prompts=prompts)
