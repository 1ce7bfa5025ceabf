"""The model card: what a checkpoint records of itself, in words and for machines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from huggingface_hub import EvalResult, ModelCardData

from groupvit.config import to_values
from groupvit.evaluation.compare import StoredEvaluation
from groupvit.training.config import TrainingConfig
from groupvit.weights.checkpoint import LoadedModel

TAGS = ["groupvit", "open-vocabulary-segmentation", "zero-shot", "vision-language"]
REPOSITORY_TASK = "image-segmentation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is told of a model."""

    hub_id: str
    """Owner and name on the hub."""
    license: str
    """As the hub spells it, such as apache-2.0."""
    loaded: LoadedModel
    layout: str
    """Who loads the files: `groupvit` or `huggingface`."""
    training: TrainingConfig | None
    """The settings of its run, if they are known."""
    evaluations: Sequence[StoredEvaluation]
    """What `groupvit evaluate` wrote of it."""


def card(facts: Facts) -> str:
    """The whole card: values between lines of dashes, then Markdown."""
    parts = (
        f"# {facts.hub_id.partition('/')[2]}",
        "Give it an image and some words: it returns which pixels belong to which word. It is a "
        "GroupViT (Xu et al., *Semantic Segmentation Emerges from Text Supervision*, CVPR 2022), "
        "which learns that from images with captions alone; no mask is seen in training.",
        f"## Use\n\n{_use(facts)}",
        f"## What it is\n\n{_architecture(facts.loaded)}",
        f"## How it was trained\n\n{_training(facts)}",
        f"## Scores\n\n{_scores(facts.evaluations)}",
        f"## Limits\n\n{_limits(facts)}",
        f"## License\n\n`{facts.license}`.",
    )
    return f"---\n{_values(facts).to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n"


def _values(facts: Facts) -> ModelCardData:
    """What the hub's own pages and lists read."""
    name = facts.hub_id.partition("/")[2]
    results = [
        EvalResult(
            task_type=REPOSITORY_TASK,
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
        pipeline_tag=REPOSITORY_TASK,
        tags=TAGS,
        model_name=name if results else None,
        eval_results=results or None,
    )


def _use(facts: Facts) -> str:
    ours = (
        f"```bash\npip install groupvit\n"
        f"groupvit segment photo.jpg --labels dog grass sky --model {facts.hub_id}\n```"
    )
    if facts.layout == "groupvit":
        return ours
    theirs = (
        "from transformers import AutoProcessor, GroupViTModel\n\n"
        f'model = GroupViTModel.from_pretrained("{facts.hub_id}")\n'
        f'processor = AutoProcessor.from_pretrained("{facts.hub_id}")'
    )
    return f"{ours}\n\nor with `transformers`:\n\n```python\n{theirs}\n```"


def _architecture(loaded: LoadedModel) -> str:
    config = loaded.model.config
    image = config.image
    groups = [stage.num_groups for stage in image.stages if stage.num_groups]
    count = sum(parameter.numel() for parameter in loaded.model.parameters())
    background = (
        "learned: how near a word must be, part by part"
        if loaded.model.background_layer is not None
        else "by thresholds or words"
    )
    rows = {
        "parameters": f"{count:,}",
        "images in training": f"{image.image_size} px, patches of {image.patch_size} px",
        "blocks": " + ".join(str(stage.depth) for stage in image.stages) + f" of width {image.dim}",
        "groups": ", then ".join(map(str, groups)),
        "what takes the words": loaded.inference.naming,
        "background": background,
        "text": f"{config.text.depth} blocks of width {config.text.dim}, "
        f"{config.text.context_length} tokens, {config.text.vocabulary_size:,} of a vocabulary",
    }
    return _table(("", ""), list(rows.items()))


def _training(facts: Facts) -> str:
    origin, settings = facts.loaded.origin, facts.training
    told = f"Weights: {origin.source}."
    if settings is None:
        return f"{told} The settings of the run are not part of the checkpoint."
    data, optim = settings.data, settings.optim
    shards = ", ".join(f"`{name}`" for name in data.shards)
    recipe = [
        ("pairs", shards or "none named"),
        ("steps", f"{settings.steps:,} of {data.batch_size} pairs on each rank"),
        ("images", f"{data.image_size} px"),
        ("nouns as prompts", str(data.num_prompts)),
        ("highest learning rate", f"{optim.lr:g}"),
        ("seed", str(settings.seed)),
    ]
    whole = json.dumps(to_values(settings), indent=2, ensure_ascii=False)
    return (
        f"{told}\n\n{_table(('', ''), recipe)}\n\n"
        f"<details><summary>All settings</summary>\n\n```json\n{whole}\n```\n\n</details>"
    )


def _scores(evaluations: Sequence[StoredEvaluation]) -> str:
    if not evaluations:
        return "None was measured for this card; `groupvit evaluate` measures them."
    rows = [
        (
            one.measurement.benchmark,
            f"{one.num_images:,}",
            one.measurement.protocol,
            "; ".join(deviation.description for deviation in one.measurement.deviations) or "none",
            _percent(one.miou),
            _percent(one.oracle_mious[-1]),
        )
        for one in evaluations
    ]
    head = ("benchmark", "images", "protocol", "deviations", "mIoU [%]", "oracle [%]")
    return (
        f"{_table(head, rows)}\n\nMeasured with `groupvit evaluate`. The oracle gives every group "
        "of the last stage the class that fits it best: what grouping alone allows."
    )


def _limits(facts: Facts) -> str:
    image = facts.loaded.model.config.image
    groups = [stage.num_groups for stage in image.stages if stage.num_groups]
    points = [
        "It names only what captions spoke of, and takes over what they get wrong about people "
        "and places; do not let it decide about people.",
        f"It cannot outline what is smaller than a patch of {image.patch_size} px.",
    ]
    if facts.loaded.inference.naming == "segments":
        points.append(f"It tells at most {groups[-1]} things apart in one window.")
    if facts.loaded.model.background_layer is None:
        points.append("It has not learned what belongs to no word; set a threshold or give words.")
    return "\n".join(f"- {point}" for point in points)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
