"""What is written down of an evaluation, so that others know what was measured, and how."""

from dataclasses import asdict, fields
from typing import Any, NamedTuple

from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.clusters import ClusteringSegmenter
from groupvit.evaluation.evaluate import asked
from groupvit.evaluation.journal import fingerprint
from groupvit.segmentation.protocol import PROTOCOLS, Protocol
from groupvit.segmentation.refinement import Refinement
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background


class Deviation(NamedTuple):
    """A setting that is not the one of the protocol."""

    name: str
    """Of the setting, a field of `Protocol`."""
    value: object
    """What it is."""
    original: object
    """What the protocol has."""

    def __str__(self) -> str:
        value, original = map(_shown, (self.value, self.original))
        return f"{self.name} {value} instead of {original}"


def deviations(protocol: Protocol, benchmark: str = "") -> list[Deviation]:
    """The settings in which a protocol is not the known one of its name, on a benchmark's key."""
    original = PROTOCOLS[protocol.name].resized_for(benchmark)
    pairs = {
        field.name: (getattr(protocol, field.name), getattr(original, field.name))
        for field in fields(Protocol)
    }
    return [Deviation(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1]]


def conditions(
    segmenter: Segmenter, benchmark: Benchmark, *, background: Background | None = None
) -> dict[str, Any]:
    """What is measured and how, as values for JSON."""
    protocol = segmenter.protocol
    question = asked(benchmark, segmenter, background)
    behind = question.background
    clustered = segmenter.clustering if isinstance(segmenter, ClusteringSegmenter) else None
    return {
        "weights": segmenter.origin.source if segmenter.origin else None,
        "fingerprint": fingerprint(segmenter.network),
        "benchmark": benchmark.name,
        "protocol": protocol.name,
        "deviations": [_in_values(one) for one in deviations(protocol, benchmark.key)],
        "naming": segmenter.naming,
        "clusters": str(clustered) if clustered else None,
        "words": list(question.labels),
        "certainty": segmenter.certainty if behind else None,
        "background_threshold": behind and behind.threshold,
        "background_thresholds": dict(behind.thresholds) if behind else {},
        "background_words": list(behind.words) if behind else [],
        "dtype": str(segmenter.dtype).removeprefix("torch."),
    }


def _in_values(deviation: Deviation) -> dict[str, Any]:
    value, original = (
        asdict(value) if isinstance(value, Refinement) else value for value in deviation[1:]
    )
    return {"name": deviation.name, "value": value, "original": original, "told": str(deviation)}


def _shown(value: object) -> str:
    """Templates are told by their number."""
    if isinstance(value, tuple):
        return str(len(value))
    return "none" if value is None else str(value)
