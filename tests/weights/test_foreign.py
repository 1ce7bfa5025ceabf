import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from groupvit.errors import InputError
from groupvit.weights import foreign, hugging_face
from groupvit.weights.layouts import HUGGING_FACE, ORIGINAL


@pytest.fixture(scope="module")
def model(tiny_config, build, enliven):
    return enliven(build(replace(tiny_config, multi_label=False)))


@pytest.fixture(scope="module")
def wide(tiny_config, build, enliven):
    """A model whose heads are 64 wide, as the released ones are."""
    image = replace(tiny_config.image, dim=64, num_heads=1)
    text = replace(tiny_config.text, dim=64, num_heads=1, depth=1)
    return enliven(build(replace(tiny_config, image=image, text=text)))


@pytest.fixture(scope="module")
def saved_once(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hf") / "model"
    hugging_face.save(folder, model)
    return folder


@pytest.fixture
def folder(saved_once, tmp_path):
    """A folder of transformers, the test's own."""
    return shutil.copytree(saved_once, tmp_path / "model")


def edit(folder, change):
    path = folder / "config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def as_bin(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def same(loaded, model):
    ours, wanted = loaded.state_dict(), model.state_dict()
    return ours.keys() == wanted.keys() and all(torch.equal(ours[n], wanted[n]) for n in wanted)


def test_a_folder_of_transformers_is_read_exactly(folder, model):
    loaded, origin, *_ = foreign.load_folder(folder)
    assert loaded.config == model.config
    assert same(loaded, model)
    assert (origin.layout, origin.trained) == ("Hugging Face", True)
    assert origin.source == str(folder / "model.safetensors")


def test_a_folder_with_pickled_weights_is_read_exactly(folder, model):
    path = as_bin(folder)
    loaded, origin, *_ = foreign.load_folder(folder)
    assert same(loaded, model)
    assert origin.source == str(path)


def test_safetensors_go_before_pickles(folder, model):
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    assert same(foreign.load_folder(folder).model, model)


@pytest.mark.parametrize("pickled", [False, True])
def test_a_lone_file_takes_its_heads_from_the_configuration_beside_it(folder, model, pickled):
    path = as_bin(folder) if pickled else folder / "model.safetensors"
    loaded = foreign.load_file(path).model
    assert loaded.config.image.num_heads == 2
    assert same(loaded, model)


def test_a_lone_file_without_configuration_has_heads_64_wide(folder, model):
    (folder / "config.json").unlink()
    loaded = foreign.load_file(folder / "model.safetensors").model
    assert (loaded.config.image.num_heads, loaded.config.text.num_heads) == (1, 1)
    assert same(loaded, model)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".safetensors"])
@pytest.mark.parametrize("multi_label", [True, False])
def test_a_file_of_the_original_is_read_exactly(tmp_path, wide, suffix, multi_label):
    tensors = ORIGINAL.from_ours(wide.state_dict())
    if not multi_label:
        del tensors["multi_label_logit_scale"]
    path = tmp_path / f"model{suffix}"
    if suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    else:
        torch.save({"model": tensors, "epoch": 29}, path)
    loaded, origin, *_ = foreign.load_file(path, heads=1)
    assert loaded.config == replace(wide.config, multi_label=multi_label)
    kept = {n: t for n, t in wide.state_dict().items() if multi_label or "multi" not in n}
    assert all(torch.equal(loaded.state_dict()[name], kept[name]) for name in kept)
    assert origin.layout == "original"


def test_a_configuration_beside_a_file_of_the_original_is_not_looked_at(tmp_path, wide):
    (tmp_path / "config.json").write_text("of something else")
    torch.save(ORIGINAL.from_ours(wide.state_dict()), tmp_path / "model.pth")
    assert foreign.load_file(tmp_path / "model.pth", heads=1).model.config == wide.config


def test_what_is_read_computes_the_same(folder, model, draw, tokens):
    loaded = foreign.load_folder(folder).model
    images = draw(2, 3, 37, 53)
    assert torch.equal(loaded.encode_text(tokens), model.encode_text(tokens))
    assert torch.equal(loaded.embed_image(images).image, model.embed_image(images).image)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("vision_config", "hidden_act", "relu"),
        ("text_config", "hidden_act", "gelu"),
        ("vision_config", "layer_norm_eps", 1e-6),
        ("text_config", "layer_norm_eps", 1e-12),
        ("vision_config", "assign_eps", 1e-6),
    ],
)
def test_a_network_that_computes_otherwise_is_refused(folder, part, name, value):
    edit(folder, lambda values: values[part].update({name: value}))
    with pytest.raises(InputError, match=f"{part}.{name} is {value}; this network has"):
        foreign.load_folder(folder)


def test_settings_that_say_what_is_so_are_accepted(folder, model):
    edit(folder, lambda v: v["vision_config"].update(hidden_act="gelu", layer_norm_eps=1e-05))
    edit(folder, lambda v: v["text_config"].update(hidden_act="quick_gelu"))
    assert same(foreign.load_folder(folder).model, model)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v["vision_config"].update(num_attention_heads=7), "by 7 heads"),
        (lambda v: v["vision_config"].update(num_attention_heads=0), "num_heads is 0"),
        (lambda v: v["text_config"].update(num_attention_heads="2"), "'2', which is not int"),
        (lambda v: v.update(text_config=[1]), r"text_config is \[1\]"),
    ],
)
def test_heads_that_make_no_sense_are_refused(folder, change, says):
    edit(folder, change)
    with pytest.raises(InputError, match=says):
        foreign.load_folder(folder)


def test_settings_of_old_files_may_be_null(folder, model):
    edit(folder, lambda v: v.update(text_config=None, text_config_dict=None))
    assert same(foreign.load_folder(folder).model, model)


def test_a_folder_without_weights_says_what_was_looked_for(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"looked for model.safetensors and pytorch_model.bin"):
        foreign.load_folder(folder)


def test_a_folder_without_configuration_is_no_model(folder):
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"has no config.json"):
        foreign.load_folder(folder)


@pytest.mark.parametrize("name", ["model.onnx", "model", "model.safetensors.index.json"])
def test_a_file_of_another_kind_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=r"not a file of weights; .* are .bin, .pt, .pth"):
        foreign.load_file(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no weights at"):
        foreign.load_file(tmp_path / "model.pth")


def test_tensors_of_another_model_are_refused(tmp_path):
    torch.save({"fc.weight": torch.ones(2, 2)}, tmp_path / "resnet.pth")
    with pytest.raises(InputError, match=r"resnet.pth: .*left over: fc.weight"):
        foreign.load_file(tmp_path / "resnet.pth")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("logit_scale"), "missing: logit_scale"),
        (lambda t: t.pop("img_encoder.pos_embed"), "missing: image_encoder.positions.weight"),
        (lambda t: t.update(x=torch.ones(1)), "left over: x"),
        (lambda t: t.update({"img_encoder.pos_embed": torch.ones(3)}), "should have 3 axes"),
        (lambda t: t.update({"img_encoder.norm.bias": torch.ones(3)}), r"\(3,\) instead of"),
        (lambda t: t.update({"img_encoder.layers.8.group_token": torch.ones(1, 2, 3)}), "stage"),
    ],
)
def test_tensors_that_make_no_groupvit_are_refused_by_path(tmp_path, wide, change, says):
    tensors = ORIGINAL.from_ours(wide.state_dict())
    change(tensors)
    torch.save({"model": tensors}, tmp_path / "model.pth")
    with pytest.raises(InputError, match=says) as refusal:
        foreign.load_file(tmp_path / "model.pth", heads=1)
    assert str(tmp_path / "model.pth") in str(refusal.value)


def test_position_ids_of_old_files_do_no_harm(folder, model):
    tensors = HUGGING_FACE.from_ours(model.state_dict())
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert same(foreign.load_folder(folder).model, model)


def test_a_missing_tensor_is_called_by_the_name_it_has_in_the_file(folder):
    name = "vision_model.encoder.stages.0.downsample.assign.v_proj.bias"
    tensors = load_file(folder / "model.safetensors")
    del tensors[name]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(InputError, match=f"missing: {name}$"):
        foreign.load_folder(folder)


@pytest.fixture
def original(tmp_path, wide):
    """Writes an original file with these settings of the image encoder."""

    def original(**settings):
        content = {"model": ORIGINAL.from_ours(wide.state_dict())}
        content["config"] = {"model": {"img_encoder": settings}}
        torch.save(content, tmp_path / "model.pth")
        return tmp_path / "model.pth"

    return original


@pytest.mark.parametrize("heads", [4, [4, 4, 4]])
def test_the_heads_of_an_original_file_are_those_of_its_settings(original, heads):
    path = original(num_heads=heads, hard_assignment=True, qk_scale=None)
    assert foreign.load_file(path).model.config.image.num_heads == 4
    with pytest.raises(InputError, match="--heads is 2, but the settings of the file have 4"):
        foreign.load_file(path, heads=2)


@pytest.mark.parametrize(
    "settings", [{"hard_assignment": False}, {"qk_scale": 0.5}, {"num_heads": [2, 4]}]
)
def test_an_original_that_computes_otherwise_is_refused(original, settings):
    with pytest.raises(InputError, match=f"img_encoder.{next(iter(settings))} is .*; this network"):
        foreign.load_file(original(**settings))


def test_unknown_heads_of_an_original_file_are_requested(original):
    with pytest.raises(InputError, match="give their number: groupvit convert --heads"):
        foreign.load_file(original())
    assert foreign.load_file(original(), heads=2).model.config.image.num_heads == 2


@pytest.mark.parametrize("zipped", [True, False])
def test_settings_that_omegaconf_pickled_are_read(tmp_path, wide, zipped):
    omegaconf = pytest.importorskip("omegaconf")
    encoder = {"type": "GroupViT", "num_heads": [4, 4, 4], "hard_assignment": True}

    def write(**others):
        settings = {"model": {"img_encoder": encoder | others, "contrast_temperature": 0.07}}
        content = {"model": ORIGINAL.from_ours(wide.state_dict()), "epoch": 29}
        content["config"] = omegaconf.OmegaConf.create(settings)
        path = tmp_path / "model.pth"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        return path

    assert foreign.load_file(write(qk_scale=None)).model.config.image.num_heads == 4
    with pytest.raises(InputError, match=r"img_encoder.qk_scale is 0.5; this network has None"):
        foreign.load_file(write(qk_scale=0.5))
    with pytest.raises(InputError, match=r"img_encoder.hard_assignment is False"):
        foreign.load_file(write(hard_assignment=False))
