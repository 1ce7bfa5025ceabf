import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from groupvit.errors import InputError
from groupvit.model.config import GroupViTConfig, StageConfig
from groupvit.normalization import DEVIATION, MEAN
from groupvit.segmentation.preparation import normalize
from groupvit.text.tokenizer import Tokenizer
from groupvit.weights import hugging_face

transformers = pytest.importorskip("transformers")

LAST_UNEQUAL = (
    StageConfig(depth=1, num_group_tokens=6, num_groups=6),
    StageConfig(depth=1, num_group_tokens=3, num_groups=2),
    StageConfig(depth=1),
)
FIRST_UNEQUAL = (
    StageConfig(depth=1, num_group_tokens=6, num_groups=5),
    StageConfig(depth=1, num_group_tokens=3, num_groups=3),
    StageConfig(depth=1),
)
ONE_GROUPING = (StageConfig(depth=2, num_group_tokens=6, num_groups=2), StageConfig(depth=1))


@pytest.fixture
def lively(tiny_config, build, enliven):
    """Makes a lively tiny model with these stages."""

    def make(stages=tiny_config.image.stages):
        image = replace(tiny_config.image, stages=stages)
        return enliven(build(replace(tiny_config, image=image)), std=0.1)

    return make


@pytest.mark.parametrize(
    "stages", [None, LAST_UNEQUAL, ONE_GROUPING], ids=["tiny", "last unequal", "one grouping"]
)
def test_transformers_loads_what_we_write(lively, draw, tokens, tmp_path, stages):
    model = lively(stages) if stages else lively()
    hugging_face.save(tmp_path / "model", model)
    theirs, report = transformers.GroupViTModel.from_pretrained(
        tmp_path / "model", output_loading_info=True
    )
    assert not any(report.values())
    images = draw(2, 3, 32, 32)
    with torch.no_grad():
        output = theirs.eval()(input_ids=tokens, pixel_values=images)
        ours = model(images, tokens[None].expand(2, -1, -1))
    torch.testing.assert_close(output.image_embeds, ours.image.image, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output.text_embeds, ours.text[0], atol=1e-5, rtol=1e-5)


def test_what_the_layout_has_no_place_for_is_told(lively, tmp_path):
    assert hugging_face.save(tmp_path / "model", lively()) == ["multi_label_log_scale"]


def test_a_folder_holds_weights_settings_and_preprocessing(lively, tmp_path):
    hugging_face.save(tmp_path / "model", lively())
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {
        "config.json",
        "merges.txt",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer_config.json",
        "vocab.json",
    }


def test_our_settings_are_those_of_transformers():
    values = hugging_face.architecture(GroupViTConfig())
    theirs = transformers.GroupViTConfig().to_dict()
    for part in ("vision_config", "text_config"):
        for name in values[part].keys() - {"num_output_groups", "eos_token_id", "bos_token_id"}:
            default = theirs[part][name]
            assert values[part][name] == (list(default) if type(default) is tuple else default)


def test_the_preprocessing_normalizes_as_ours():
    values = hugging_face.image_processor(224)
    assert [255 * value for value in values["image_mean"]] == pytest.approx(MEAN)
    assert [255 * value for value in values["image_std"]] == pytest.approx(DEVIATION)
    assert values["crop_size"] == {"height": 224, "width": 224}


@pytest.mark.parametrize(
    ("image", "named"),
    [
        ({"grouping": "soft"}, "no soft grouping block"),
        ({"stem": "convolutions"}, "no convolutional stem"),
        ({"positions": False}, "no missing positions"),
        ({"pooling": "embeddings"}, "no pooling of embeddings"),
    ],
)
def test_what_the_layout_cannot_say_is_refused(tiny_config, build, tmp_path, image, named):
    ours = replace(tiny_config, image=replace(tiny_config.image, **image))
    with pytest.raises(InputError, match=named):
        hugging_face.save(tmp_path / "model", build(ours))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"centered": True}, "no centered projectors"),
        ({"patch_projector": True}, "no projector of patches"),
        ({"background_layer": True}, "no learned background"),
    ],
)
def test_so_is_what_stands_outside_the_image_encoder(tiny_config, build, tmp_path, config, named):
    with pytest.raises(InputError, match=named):
        hugging_face.save(tmp_path / "model", build(replace(tiny_config, **config)))


def test_unequal_groups_before_another_grouping_are_refused(lively, tmp_path):
    with pytest.raises(InputError, match="as many groups as group tokens"):
        hugging_face.save(tmp_path / "model", lively(FIRST_UNEQUAL))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_kept_unless_told_otherwise(tiny_model, tmp_path):
    (tmp_path / "model").mkdir()  # an empty folder is free
    hugging_face.save(tmp_path / "model", tiny_model)
    with pytest.raises(InputError, match="exists already"):
        hugging_face.save(tmp_path / "model", tiny_model)
    hugging_face.save(tmp_path / "model", tiny_model, overwrite=True)
    values = json.loads((tmp_path / "model" / "config.json").read_text())
    assert values["model_type"] == "groupvit"


def test_the_folder_brings_its_tokenizer_and_the_preprocessing_of_training(tiny_model, tmp_path):
    hugging_face.save(tmp_path / "there", tiny_model)
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "there")
    size = tiny_model.config.image.image_size
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    inputs = processor(text=["a photo of a cat."], images=image, return_tensors="pt")
    assert torch.equal(inputs["input_ids"], Tokenizer()(["a photo of a cat."]))
    expected = normalize(torch.from_numpy(image).permute(2, 0, 1))
    assert torch.allclose(inputs["pixel_values"][0], expected, atol=1e-5)


def test_the_tokenizer_of_a_smaller_vocabulary_fits(tiny_config, build, tmp_path):
    text = replace(tiny_config.text, vocabulary_size=4096)
    model = build(replace(tiny_config, text=text))
    hugging_face.save(tmp_path / "there", model)
    theirs = transformers.GroupViTModel.from_pretrained(tmp_path / "there").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "there")
    texts = ["a photo of a cat.", "a brontosaurus, a t-shirt and an acknowledgement"]
    for text in texts:
        tokens = tokenizer([text], return_tensors="pt")["input_ids"]
        assert torch.equal(tokens, Tokenizer(4096)([text]))
        with torch.no_grad():
            features = theirs.text_model(input_ids=tokens[:, :8]).pooler_output
        assert features.isfinite().all()
