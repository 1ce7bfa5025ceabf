"""The training loop: one function, in one process or, under torchrun, on all ranks alike."""

from pathlib import Path

from rich.console import Console

from groupvit import distributed
from groupvit.data.loader import Batches, stream
from groupvit.distributed import Ranks
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.text.tokenizer import Tokenizer
from groupvit.training.config import TrainingConfig
from groupvit.training.log import Log, Meter, Record
from groupvit.training.run_folder import RunFolder
from groupvit.training.signals import StopRequest
from groupvit.training.state import TrainingState


def train(config: TrainingConfig, *, fresh: bool = False) -> int:
    """Train until the end, or until someone asks to stop.

    Args:
        config: The settings. A run that lies in `config.out` goes on from its latest checkpoint.
        fresh: Delete that run and begin anew.

    Returns:
        The exit code: 0 at the end, 130 after Ctrl-C, 143 after SIGTERM; both leave a checkpoint.
        (torchrun hands such signals on to all ranks, and then ends with a code of its own.)

    Raises:
        InputError: A setting does not fit what it meets, the disk is full, or the loss stays
            infinite or no number.
    """
    with distributed.session(config.device) as ranks, StopRequest() as stop:
        console = Console(quiet=not ranks.is_main, highlight=False, soft_wrap=True)
        run = RunFolder(Path(config.out))
        if ranks.is_main:
            run.prepare(config, fresh=fresh)
        ranks.barrier()
        if config.evaluate_folder:
            read_folder(config.evaluate_folder)  # finds mistakes now, not hours later
        batches = _batches(config, ranks, console)
        learner = TrainingState(config, ranks, run)
        start = learner.progress.step
        if start:
            console.print(f"{run.path} goes on after step {start} of {config.steps}", markup=False)
        with Log(
            run.log if ranks.is_main else None,
            start=start,
            steps=config.steps,
            console=console,
            tensorboard=run.tensorboard if config.tensorboard else None,
        ) as log:
            stopped = _loop(learner, batches, log, stop)
        console.print(_last_words(run, learner.progress.step, stopped=stopped), markup=False)
        return stop.exit_code if stopped else 0


def _loop(learner: TrainingState, batches: Batches, log: Log, stop: StopRequest) -> bool:
    """Do the steps that are left; returns whether someone asked to stop."""
    config, progress, meter = learner.config, learner.progress, Meter()
    coming = stream(
        batches, start=progress.step, stop=config.steps, num_workers=config.data.num_workers
    )
    for batch in meter.timed(coming):
        done = learner.step(batch, stop)
        meter.count(config.data.batch_size * learner.ranks.world_size)
        log.advance(progress.step)
        if done.skipped:
            log.say(f"step {progress.step} is skipped: its loss or gradient is no finite number")
            learner.check_skipped()
        record: Record = {}
        if progress.step % config.log_every == 0:
            record |= learner.record(done) | meter.read(learner.ranks.device)
        improved = False
        if config.evaluate_folder and learner.due(config.evaluate_every):
            scores, improved = learner.evaluate()
            record |= scores
            meter.restart()
        if record:
            log.write(progress.step, record)
        if improved or done.stopping or learner.due(config.save_every):
            learner.save(best=improved)
            meter.restart()
        if done.stopping:
            return True
    return False


def _batches(config: TrainingConfig, ranks: Ranks, console: Console) -> Batches:
    with console.status("reading the shards") as status:
        return Batches(
            config.data,
            Tokenizer(config.model.text.vocabulary_size),
            seed=config.seed,
            rank=ranks.rank,
            world_size=ranks.world_size,
            context_length=config.model.text.context_length,
            on_progress=lambda done, total: status.update(f"reading the shards: {done} of {total}"),
        )


def _last_words(run: RunFolder, step: int, *, stopped: bool) -> str:
    if stopped:
        return f"stopped after step {step}; the same command goes on from {run.latest()}"
    return (
        f"{run.path} holds the model after {step} steps; try it: "
        f"groupvit segment IMAGE --labels dog cat --model {run.path}"
    )
