"""Measurement: everything that the scores of a model on a benchmark depend on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any, NamedTuple

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.model.inference import DEFAULT_INFERENCE, InferenceConfig
from groupvit.probes.clusters import ClusteringSegmenter
from groupvit.segmentation.labels import Labels, parse
from groupvit.segmentation.network import fingerprint
from groupvit.segmentation.protocol import OURS, PROTOCOLS, Protocol
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background
from groupvit.text.prompts import BACKGROUND


class Deviation(NamedTuple):
    """Setting of a protocol that differs from the published protocol of the same name."""

    name: str
    """Field of `Protocol`."""
    value: Any
    """Value used, as JSON holds it."""
    original: Any
    """Value of the protocol, likewise."""
    description: str
    """Such as `stride 100 instead of 224`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Conditions of an evaluation; scores compare only where these are equal."""

    weights: str | None
    """Source of the weights; None: unknown."""
    fingerprint: str
    """Digest of architecture and weights; see `fingerprint`."""
    benchmark: str
    """Name of the benchmark."""
    protocol: str
    """Name of the protocol."""
    deviations: tuple[Deviation, ...]
    """Settings in which the protocol was changed."""
    naming: str
    """Parts of an image that are compared with labels: `segments` or `levels`."""
    clusters: str | None
    """Clustering that replaced the learned groups; None: learned groups."""
    labels: tuple[str, ...]
    """Label of every class as the model gets it, with synonyms: `car|taxi`; no background."""
    expansions: Mapping[str, tuple[str, ...]]
    """Words of the labels that the lexicon expanded, by label."""
    background: Background | None
    """Background that the labels compete with; None: the benchmark has none."""
    certainty: str | None
    """Quantity that its thresholds apply to; None: no background."""
    dtype: str
    """Precision of the encoders."""

    @classmethod
    def of(
        cls, segmenter: Segmenter, benchmark: Benchmark, background: Background | None = None
    ) -> "Measurement":
        """Measurement that a segmenter's protocol prescribes for a benchmark.

        Args:
            segmenter: Model and protocol.
            benchmark: Images with masks.
            background: Thresholds, and words if any, that replace those of the protocol.

        Raises:
            InputError: A background is given, but the benchmark has none.
        """
        labels = prescribed_labels(benchmark, segmenter.protocol)
        used = _background(segmenter, benchmark, labels, background)
        expansions = segmenter.parse(labels, used).expansions()
        return cls.under(segmenter, benchmark, labels, expansions=expansions, background=used)

    @classmethod
    def under(
        cls,
        segmenter: Segmenter,
        benchmark: Benchmark,
        labels: tuple[str, ...],
        *,
        expansions: Mapping[str, tuple[str, ...]],
        background: Background | None,
    ) -> "Measurement":
        """Measurement with these labels and this background.

        Args:
            segmenter: Model and protocol.
            benchmark: Images with masks.
            labels: Labels as the model gets them.
            expansions: Words of the labels that the lexicon expanded.
            background: Background that the labels compete with; None: every pixel has a label.
        """
        protocol = segmenter.protocol
        clustering = segmenter.clustering if isinstance(segmenter, ClusteringSegmenter) else None
        return cls(
            weights=segmenter.origin.source if segmenter.origin else None,
            fingerprint=fingerprint(segmenter.network),
            benchmark=benchmark.name,
            protocol=protocol.name,
            deviations=deviations(protocol, benchmark.key, segmenter.inference),
            naming=segmenter.naming,
            clusters=str(clustering) if clustering else None,
            labels=labels,
            expansions=expansions,
            background=background,
            certainty=segmenter.certainty if background else None,
            dtype=str(segmenter.dtype).removeprefix("torch."),
        )

    def __str__(self) -> str:
        """One line: protocol, deviations from it, background, and what is compared with labels."""
        changes = ", ".join(one.description for one in self.deviations)
        parts = [f"protocol {self.protocol}" + (f", but {changes}" if changes else "")]
        if self.background and self.background.threshold is not None:
            threshold = f"background below {self.background.threshold:g} ({self.certainty})"
            if self.background.thresholds:
                threshold += f" ({len(self.background.thresholds)} labels with their own)"
            words = len(self.background.words)
            parts.append(threshold + (f" and by {words} words" if words else ""))
        elif self.background:
            parts.append(f"background by {len(self.background.words)} words")
        if self.expansions:
            count = len(self.expansions)
            parts.append(f"{count} label{'s'[: count > 1]} expanded by the lexicon")
        compared = f"clusters ({self.clusters})" if self.clusters else self.naming
        return "; ".join([*parts, f"naming by {compared}"])

    def parsed(self) -> Labels:
        """Labels with the words that they were measured with."""
        return parse(self.labels, self.background).with_words(self.expansions)

    def to_values(self) -> dict[str, Any]:
        """Values for JSON."""
        background = self.background
        return {
            "weights": self.weights,
            "fingerprint": self.fingerprint,
            "benchmark": self.benchmark,
            "protocol": self.protocol,
            "deviations": [one._asdict() for one in self.deviations],
            "naming": self.naming,
            "clusters": self.clusters,
            "labels": list(self.labels),
            "expansions": {name: list(words) for name, words in self.expansions.items()},
            "certainty": self.certainty,
            "background_threshold": background.threshold if background else None,
            "background_thresholds": dict(background.thresholds) if background else {},
            "background_words": list(background.words) if background else [],
            "dtype": self.dtype,
        }

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "Measurement":
        """Inverse of `to_values`; other keys are ignored, and without `expansions` there are none.

        Raises:
            KeyError: A value is missing.
        """
        background = (
            Background(
                threshold=values["background_threshold"],
                thresholds=values["background_thresholds"],
                words=tuple(values["background_words"]),
            )
            if values["certainty"] is not None
            else None
        )
        plain = ("weights", "fingerprint", "benchmark", "protocol", "naming", "clusters")
        return cls(
            **{name: values[name] for name in (*plain, "certainty", "dtype")},
            deviations=tuple(Deviation(**one) for one in values["deviations"]),
            labels=tuple(values["labels"]),
            expansions={name: tuple(words) for name, words in values.get("expansions", {}).items()},
            background=background,
        )


def class_names(benchmark: Benchmark) -> tuple[str, ...]:
    """Names of the classes without synonyms, in the order of mask values: background first."""
    names = parse(benchmark.labels).names
    return (BACKGROUND, *names) if benchmark.has_background else names


def prescribed_labels(benchmark: Benchmark, protocol: Protocol) -> tuple[str, ...]:
    """Labels of the classes of a benchmark, some of which a protocol renames."""
    renamed = protocol.settings_for(benchmark.key).words
    return tuple(map(renamed.get, benchmark.labels, benchmark.labels))


def deviations(
    protocol: Protocol, benchmark: str = "", inference: InferenceConfig = DEFAULT_INFERENCE
) -> tuple[Deviation, ...]:
    """Settings in which a protocol differs from the published one of its name.

    A protocol of another name is compared with `ours`.

    Args:
        protocol: Protocol in use.
        benchmark: Key of the benchmark, for which the published protocol may have its own size.
        inference: Settings of the model, which hold where a protocol leaves them open.
    """
    protocol = protocol.for_model(inference)
    original = PROTOCOLS.get(protocol.name, OURS).resized_for(benchmark).for_model(inference)
    return tuple(
        Deviation(
            name, _plain(value), _plain(other), f"{name} {_brief(value)} instead of {_brief(other)}"
        )
        for name in (field.name for field in fields(Protocol))
        if (value := getattr(protocol, name)) != (other := getattr(original, name))
    )


def _background(
    segmenter: Segmenter,
    benchmark: Benchmark,
    labels: Sequence[str],
    given: Background | None,
) -> Background | None:
    """Background of a measurement: the protocol's, with what the user gives in its place."""
    if not benchmark.has_background:
        if given is None:
            return None
        raise InputError(
            f"the classes of {benchmark.name} begin with no background; leave its threshold out"
        )
    prescribed = segmenter.protocol.settings_for(benchmark.key)
    if prescribed.threshold is None:  # then the model's own
        usual = segmenter.default_background(labels)
        if prescribed.background_words:
            usual = replace(usual, words=prescribed.background_words)
    else:
        usual = Background(threshold=prescribed.threshold, words=prescribed.background_words)
    if given is None:
        return usual
    words = given.words or usual.words
    if given.threshold is None and not given.thresholds:
        return replace(usual, words=words)
    threshold = usual.threshold if given.threshold is None else given.threshold
    return replace(given, threshold=threshold, words=words)


def _plain(value: object) -> Any:
    """Value as JSON holds it."""
    content = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    return json.loads(json.dumps(content, default=str))


def _brief(value: object) -> str:
    """Value in a sentence; of several templates their number."""
    if isinstance(value, tuple):
        sides = all(isinstance(one, int) for one in value)
        return " and ".join(map(str, value)) or "none" if sides else str(len(value))
    return "none" if value is None else str(value)
