"""Model card: the facts that a checkpoint records, as Markdown with metadata of the hub.

The text is in `card.md`, a jinja2 template.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from groupvit.config import to_values
from groupvit.evaluation.compare import StoredEvaluation
from groupvit.training.config import TrainingConfig
from groupvit.weights.checkpoint import LoadedModel

TAGS = ["groupvit", "open-vocabulary-segmentation", "zero-shot", "vision-language"]
TASK = "image-segmentation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts about a model."""

    hub_id: str
    """Owner and name on the hub."""
    license: str
    """Identifier that the hub knows, such as apache-2.0."""
    loaded: LoadedModel
    layout: str
    """Layout of the files: `groupvit` or `huggingface`."""
    training: TrainingConfig | None
    """Settings of its run, if they are known."""
    evaluations: Sequence[StoredEvaluation]
    """Evaluations of its weights."""

    @property
    def name(self) -> str:
        """Name on the hub, without its owner."""
        return self.hub_id.partition("/")[2]


def card(facts: Facts) -> ModelCard:
    """Model card with metadata and text."""
    model = facts.loaded.model
    made: ModelCard = ModelCard.from_template(
        _metadata(facts),
        template_str=files("groupvit").joinpath("publishing/card.md").read_text(encoding="utf-8"),
        facts=facts,
        name=facts.name,
        groups=[stage.num_groups for stage in model.config.image.stages if stage.num_groups],
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        settings=json.dumps(
            facts.training and to_values(facts.training), indent=2, ensure_ascii=False
        ),
    )
    return made


def _metadata(facts: Facts) -> ModelCardData:
    results = [
        EvalResult(
            task_type=TASK,
            dataset_type=one.measurement.benchmark,
            dataset_name=one.measurement.benchmark,
            metric_type="mean_iou",
            metric_name=f"mIoU (protocol {one.measurement.protocol})",
            metric_value=round(one.miou, 4),
        )
        for one in facts.evaluations
    ]
    return ModelCardData(
        license=facts.license,
        library_name="transformers" if facts.layout == "huggingface" else "groupvit",
        pipeline_tag=TASK,
        tags=TAGS,
        model_name=facts.name if results else None,
        eval_results=results or None,
    )
