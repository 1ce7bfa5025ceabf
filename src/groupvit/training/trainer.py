"""The training loop: one function, in one process or, under torchrun, on all ranks alike."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

import torch
from rich.console import Console

from groupvit import distributed
from groupvit.data import index, patterns
from groupvit.data.index import Shard
from groupvit.data.loader import stream
from groupvit.data.mixture import Mixture
from groupvit.data.shards import count_nouns
from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.benchmarks.mask_survey import checked
from groupvit.model.image_encoder import MakeGrouping, grouping_block
from groupvit.training import agreement, caching, changes, outcome, sources, trackers
from groupvit.training.config import TrainingConfig
from groupvit.training.log import Log, Meter, OnRecord, Record
from groupvit.training.run_folder import RunFolder
from groupvit.training.signals import StopRequest
from groupvit.training.state import TrainingState


def train(
    config: TrainingConfig,
    *,
    fresh: bool = False,
    changed: Sequence[str] = (),
    make_grouping: MakeGrouping = grouping_block,
    on_record: OnRecord | None = None,
) -> int:
    """Train until the end, or until a signal requests a stop.

    Args:
        config: Settings. A run in `config.out` resumes from its latest checkpoint.
        fresh: Delete that run, once nothing can refuse this one, and begin again.
        changed: Settings, such as `optim.lr`, that may differ from those of that run.
        make_grouping: Maker of the grouping blocks, for blocks of your own.
        on_record: Function that is called on the main rank with every step of the log and its
            numbers by name, such as `loss`; an error in it ends the run.

    Returns:
        Exit code: 0 at the end, 130 after Ctrl-C, 143 after SIGTERM; both leave a checkpoint.
        (torchrun passes such signals on to all ranks and ends with a code of its own.)

    Raises:
        InputError: A setting does not fit what it meets, ranks differ in settings or checkpoint,
            the disk is full, or the loss stays not finite.
    """
    with distributed.session(config.device) as ranks, StopRequest() as stop:
        console = Console(quiet=not ranks.is_main, highlight=False, soft_wrap=True)
        run = RunFolder.of(config.out)
        with ExitStack() as refused:
            if ranks.is_main:
                refused.callback(run.withdraw)
                run.prepare(config, fresh=fresh, changed=changed)
            ranks.barrier()
            trackers.check(config)
            if run.mirror is not None:  # each node has a disk of its own
                if ranks.local_rank == 0 and not ranks.is_main:
                    run.mirror.fetch()
                ranks.barrier()
            benchmark = _benchmark(config)
            data = _opened(config, ranks, console)
            kept_apart = _kept_apart(config, data.shards)
            if ranks.is_main:
                tars = [shard.tar for shard in data.shards]
                run.check_shards(tars, data.fingerprints(), changed=changed)
            agreement.check(config, data.sizes, run, ranks)
            nouns = count_nouns(data.shards) if ranks.is_main else {}
            rebuild = changes.covers(changed, changes.CACHE)
            cached = caching.checked(config, data.captions, rebuild=rebuild)
            state = TrainingState(
                config,
                ranks,
                run,
                make_grouping=make_grouping,
                nouns=nouns,
                distilled=data.names,
                shards=data.shards,
            )
            ranks.barrier()
            refused.pop_all()
        run.begin()
        if cached is not None:
            # An error from here on keeps the run folder, which holds what is stored so far.
            caching.complete(cached, config, ranks, console)
        start = state.progress.step
        if start:
            console.print(f"{run.path} resumes after step {start} of {config.steps}", markup=False)
        for note in state.start_notes:
            console.print(f"{config.start}: {note}", markup=False)
        own = run if ranks.is_main else None
        with _opened_log(config, own, console, start=start, on_record=on_record) as log:
            stopped = _loop(state, data.mixed(), benchmark, log, stop)
        if not stopped:
            _report(state, benchmark, data.shards, kept_apart, console)
        console.print(_last_words(run, state.progress.step, stopped=stopped), markup=False)
        return stop.exit_code if stopped else 0


@contextmanager
def _opened_log(
    config: TrainingConfig,
    run: RunFolder | None,
    console: Console,
    *,
    start: int,
    on_record: OnRecord | None,
) -> Iterator[Log]:
    """Log of a run and its tracker; on other ranks than the main one, where `run` is None, none."""
    with ExitStack() as opened:
        tracked = opened.enter_context(trackers.opened(config, run.path)) if run else None
        log = Log(
            run.log if run else None,
            start=start,
            steps=config.steps,
            console=console,
            tensorboard=run.tensorboard if run and config.tensorboard else None,
            on_record=[call for call in (on_record, tracked) if call is not None],
        )
        yield opened.enter_context(log)


def _loop(
    state: TrainingState,
    batches: Mixture,
    benchmark: Benchmark | None,
    log: Log,
    stop: StopRequest,
) -> bool:
    """Run the remaining steps; returns True if a stop was requested."""
    config, progress, meter = state.config, state.progress, Meter()
    num_workers = config.data.num_workers
    coming = stream(batches, start=progress.step, stop=config.steps, num_workers=num_workers)
    with closing(coming):
        for batch in meter.timed(coming):
            done = state.step(batch, stop)
            meter.count(config.data.batch_size * state.ranks.world_size)
            log.advance(progress.step)
            if done.skipped:
                log.print(f"step {progress.step} is skipped: its loss or gradient is not finite")
                state.check_skipped()
            record: Record = {}
            if progress.step % config.log_every == 0:
                record |= state.record(done) | meter.read(state.ranks.device)
            improved = False
            if benchmark is not None and state.due(config.evaluate_every):
                scores, improved = state.evaluate(benchmark)
                record |= scores
                meter.restart()
            if record:
                log.write(progress.step, record)
            if improved or done.stopping or state.due(config.save_every):
                state.save(best=improved)
                meter.restart()
            if done.stopping:
                return True
    return False


def _benchmark(config: TrainingConfig) -> Benchmark | None:
    """Benchmark of the evaluations; mistakes are reported now, not hours later."""
    if not config.evaluate_folder:
        return None
    benchmark = read_folder(config.evaluate_folder)
    checked(benchmark)
    return benchmark


def _kept_apart(config: TrainingConfig, shards: Sequence[Shard]) -> list[Shard]:
    """Shards of the retrieval at the end; mistakes are reported now."""
    if not config.evaluate_shards:
        return []
    tars = patterns.expand(config.evaluate_shards, copies=config.data.copies)
    trained = {shard.path.resolve() for shard in shards}
    for tar in tars:
        if index.place(tar).resolve() in trained:
            raise InputError(
                f"{tar} is in evaluate_shards and in data.shards; leave it out of one of them"
            )
    return index.prepare(tars, None)


def _report(
    state: TrainingState,
    benchmark: Benchmark | None,
    shards: Sequence[Shard],
    kept_apart: Sequence[Shard],
    console: Console,
) -> None:
    """Print on the main rank what the run has reached."""
    config, ranks, lines = state.config, state.ranks, list[str]()
    if ranks.is_main:
        with console.status("evaluating"), torch.compiler.set_stance("force_eager"):
            model, limit = state.state.evaluated.eval(), config.evaluate_limit
            if benchmark is not None:
                lines += outcome.scores(
                    model,
                    benchmark,
                    inference=config.inference,
                    limit=limit,
                    device=ranks.device,
                )
            # A run may have masks alone, and no captions.
            if kept_apart or (shards and benchmark is None):
                lines += outcome.recalls(
                    model,
                    kept_apart or shards,
                    limit=limit,
                    trained_on=not kept_apart,
                    device=ranks.device,
                )
    ranks.barrier()
    for line in lines:
        console.print(line, markup=False)


def _opened(config: TrainingConfig, ranks: Ranks, console: Console) -> sources.Sources:
    with console.status("reading the data") as status:
        return sources.opened(
            config,
            ranks,
            on_progress=lambda done, total: status.update(f"reading the data: {done} of {total}"),
        )


def _last_words(run: RunFolder, step: int, *, stopped: bool) -> str:
    if stopped:
        return f"stopped after step {step}; the same command resumes from {run.latest()}"
    return (
        f"{run.path} holds the model after {step} steps; try it: "
        f"groupvit segment IMAGE --labels dog cat --model {run.path}"
    )
