"""A run over many shards: what is to be done, and what was."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from groupvit import storage
from groupvit.bulk import results
from groupvit.bulk.engines import Engine
from groupvit.bulk.shards import Shard
from groupvit.bulk.worker import Done, Job
from groupvit.errors import InputError
from groupvit.progress import OnProgress
from groupvit.segmentation.manifest import Manifest


@dataclass(kw_only=True)
class Summary:
    """Numbers of a run."""

    num_shards: int = 0
    """Shards done by this run."""
    num_images: int = 0
    num_failed: int = 0
    """Images that have an error instead of masks."""
    seconds: float = 0.0
    """Time of all workers together [s]."""
    waiting: float = 0.0
    """Part of it that was spent on reading [s]."""
    errors: dict[str, str] = field(default_factory=dict)
    """Shards without a result, and why."""

    def add(self, done: Done) -> None:
        """Count a shard."""
        if done.error:
            self.errors[done.name] = done.error
            return
        self.num_shards += 1
        self.num_images += done.num_images
        self.num_failed += done.num_failed
        self.seconds += done.seconds
        self.waiting += done.waiting


def begin(out: str, manifest: Manifest, shards: Sequence[Shard]) -> list[Shard]:
    """Begin or resume a run: write its manifest, and return the shards without a result.

    Raises:
        InputError: `out` holds results of another run, or cannot be written.
    """
    found, before = storage.names(out), None
    (output,) = manifest.settings["output"]
    names = {shard.name + results.SUFFIXES[output]: shard for shard in shards}
    if results.MANIFEST in found:
        before = results.read_manifest(out)
        manifest = manifest.resumed(before, out)
    elif others := sorted(found & set(names)):
        raise InputError(f"{out} holds {others[0]}, which is no result; choose another --out")
    if manifest != before:
        with storage.new_file(storage.join(out, results.MANIFEST)) as path:
            path.write_text(manifest.to_text(), encoding="utf-8")
    return [shard for name, shard in names.items() if name not in found]


def segment(
    job: Job, shards: Sequence[Shard], engine: Engine, *, on_progress: OnProgress | None = None
) -> Summary:
    """Segment shards by an engine.

    Args:
        job: Work on every shard.
        shards: Shards without a result.
        engine: Function that hands them out, such as `engines.here`.
        on_progress: Called after each shard.
    """
    summary = Summary()
    if not shards:
        return summary
    for number, done in enumerate(engine(job, shards), start=1):
        summary.add(done)
        if on_progress is not None:
            on_progress(number, len(shards))
    return summary
