"""Our network computes what the port in transformers computes, from the same weights.

The port assigns by an argmax whose near-ties fall either way with the order of a sum, so only
images without them are compared: in every stage the two largest shares of every token lie
further apart than MARGIN. The seeds of the images are chosen so, and the tests assert it.
"""

import os
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from groupvit.model.config import GroupViTConfig
from groupvit.model.groupvit import GroupViT
from groupvit.weights import catalogue, hugging_face
from groupvit.weights.architecture import blank
from groupvit.weights.layouts import ORIGINAL

transformers = pytest.importorskip("transformers")

CLOSE = {"atol": 1e-5, "rtol": 0}
MARGIN = 1e-4
SEEDS = {"tiny": (0, 1, 2, 3), "full": (1, 4)}


class Outputs(NamedTuple):
    """What both sides compute."""

    image: torch.Tensor
    text: torch.Tensor
    logits: torch.Tensor
    assignments: tuple[torch.Tensor, ...]


class Pair(NamedTuple):
    """One model on both sides, and what it is shown."""

    ours: GroupViT
    theirs: torch.nn.Module
    images: torch.Tensor
    tokens: torch.Tensor


def by_us(model, images, tokens):
    with torch.no_grad():
        embedded = model.embed_image(images)
        text = torch.nn.functional.normalize(model.encode_text(tokens), dim=-1)
        logits = model.logit_scale * embedded.image @ text.T
    return Outputs(embedded.image, text, logits, embedded.assignments)


def by_transformers(model, images, tokens):
    with torch.no_grad():
        output = model(input_ids=tokens, pixel_values=images, output_attentions=True)
    maps = output.vision_model_output.attentions
    return Outputs(output.image_embeds, output.text_embeds, output.logits_per_image, tuple(maps))


def margin(assignments):
    """The smallest distance between the two largest shares of any token."""
    largest = [shares.topk(2, dim=1).values for shares in assignments]
    return min((first - second).min().item() for first, second in (x.unbind(1) for x in largest))


@pytest.fixture(scope="module", params=["tiny", "full"])
def pair(request, tiny_config, enliven, draw, tokens, tmp_path_factory):
    tiny = request.param == "tiny"
    config = tiny_config if tiny else GroupViTConfig()
    model = enliven(
        blank(config).to_empty(device="cpu").eval(), std=0.1 if tiny else 0.03, clearer=3
    )
    with torch.no_grad():
        model.log_scale.fill_(1.7)
    folder = tmp_path_factory.mktemp("parity") / "model"
    hugging_face.save(folder, model)
    theirs = transformers.GroupViTModel.from_pretrained(folder).eval()
    size = config.image.image_size
    images = torch.cat([draw(1, 3, size, size, seed=seed) for seed in SEEDS[request.param]])
    return Pair(model, theirs, images, tokens)


@pytest.fixture(scope="module")
def outputs(pair):
    shown = pair.images, pair.tokens
    return by_us(pair.ours, *shown), by_transformers(pair.theirs, *shown)


def test_no_image_that_is_compared_has_near_ties(outputs):
    assert margin(outputs[0].assignments) > MARGIN


def test_what_is_compared_is_not_degenerate(outputs):
    ours = outputs[0]
    assert ours.image.std(dim=0).max() > 1e-3
    assert ours.text.std(dim=0).max() > 1e-3
    for shares in ours.assignments:
        assert shares.argmax(dim=1).unique().numel() > 1
        assert shares.max() > 2 / shares.shape[1]


@pytest.mark.parametrize("name", ["image", "text", "logits"])
def test_embeddings_and_logits_are_those_of_transformers(outputs, name):
    ours, theirs = (getattr(side, name) for side in outputs)
    torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("stage", [0, 1])
def test_soft_assignments_are_those_of_transformers(outputs, stage):
    ours, theirs = (side.assignments[stage] for side in outputs)
    assert len(outputs[0].assignments) == len(outputs[1].assignments) == 2
    torch.testing.assert_close(ours, theirs.reshape(ours.shape), **CLOSE)


def test_what_transformers_writes_is_read_back_exactly(pair, tmp_path):
    pair.theirs.save_pretrained(tmp_path / "theirs")
    back = catalogue.load(tmp_path / "theirs").model.state_dict()
    ours = pair.ours.state_dict()
    assert ours.keys() - back.keys() == {"multi_label_log_scale"}
    assert all(torch.equal(back[name], ours[name]) for name in back)


def test_weights_that_transformers_drew_compute_the_same(
    tiny_config, enliven, draw, tokens, tmp_path
):
    settings = transformers.GroupViTConfig.from_dict(hugging_face.architecture(tiny_config))
    theirs = enliven(transformers.GroupViTModel(settings), seed=5, std=0.15).eval()
    with torch.no_grad():
        theirs.logit_scale.fill_(1.7)
    theirs.save_pretrained(tmp_path / "theirs")
    images = draw(3, 3, 32, 32, seed=4)
    ours = by_us(catalogue.load(tmp_path / "theirs").model, images, tokens)
    wanted = by_transformers(theirs, images, tokens)
    assert margin(ours.assignments) > MARGIN
    for name in ("image", "text", "logits"):
        torch.testing.assert_close(getattr(ours, name), getattr(wanted, name), **CLOSE)


def test_the_layout_of_the_original_leads_there_and_back(pair):
    tensors = pair.ours.state_dict()
    original = ORIGINAL.from_ours(tensors)
    assert len(original) == (407 if pair.ours.config == GroupViTConfig() else len(tensors))
    back = ORIGINAL.to_ours(original)
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)


PUBLISHED = [[13.3523, 6.3629]]
"""transformers' own test: image 000000039769 of COCO, a photo of a cat, a photo of a dog."""
CLIP_MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])
CLIP_DEVIATION = torch.tensor([0.26862954, 0.26130258, 0.27577711])


def as_clip(path):
    """The image as CLIP's processor prepares it: shortest side 224, bicubic, center."""
    import numpy as np
    from PIL import Image

    image = Image.open(path).convert("RGB")
    scale = 224 / min(image.size)
    width, height = (int(side * scale) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - 224) // 2, (height - 224) // 2
    image = image.crop((left, top, left + 224, top + 224))
    values = torch.from_numpy(np.array(image)).float() / 255
    return ((values - CLIP_MEAN) / CLIP_DEVIATION).permute(2, 0, 1)[None]


def test_the_released_weights_give_the_published_logits():
    folder = os.environ.get("GROUPVIT_WEIGHTS")
    if not folder:
        pytest.skip("GROUPVIT_WEIGHTS names no folder with the released weights")
    images = sorted(Path(folder).glob("**/*000000039769.jpg"))
    models = sorted(Path(folder).glob("groupvit-gcc-yfcc*"))
    if not images or not models:
        pytest.skip(f"{folder} lacks groupvit-gcc-yfcc or 000000039769.jpg")
    texts = torch.tensor(
        [
            [49406, 320, 1125, 539, 320, 2368, 49407],
            [49406, 320, 1125, 539, 320, 1929, 49407],
        ]
    )
    logits = by_us(catalogue.load(models[0]).model, as_clip(images[0]), texts).logits
    torch.testing.assert_close(logits, torch.tensor(PUBLISHED), atol=1e-3, rtol=0)
