import re
from dataclasses import replace

import pytest
import torch

from groupvit.errors import InputError
from groupvit.model.config import GroupViTConfig, StageConfig
from groupvit.weights.architecture import blank
from groupvit.weights.layouts import (
    HUGGING_FACE,
    ORIGINAL,
    Place,
    _pattern,
    _table,
    check_names,
)

LAYOUTS = pytest.mark.parametrize("layout", [ORIGINAL, HUGGING_FACE], ids=["original", "hf"])
ONE_GROUPING = (StageConfig(depth=2, num_group_tokens=6, num_groups=2), StageConfig(depth=1))


@pytest.fixture(scope="module")
def tensors(tiny_config, build, enliven):
    """What a tiny and a tiny one-stage model hold."""
    one_stage = replace(tiny_config, image=replace(tiny_config.image, stages=ONE_GROUPING))
    return [enliven(build(config)).state_dict() for config in (tiny_config, one_stage)]


@pytest.fixture(scope="module")
def released():
    """The tensors of the released architecture, without values."""
    return blank(GroupViTConfig()).state_dict()


@pytest.mark.parametrize("ours", [row[0] for row in _table()])
def test_every_row_of_the_table_names_tensors_of_the_released_model(released, ours):
    assert any(_pattern(ours).fullmatch(name) for name in released)


def test_every_tensor_has_exactly_one_row(released):
    for name in released:
        assert sum(bool(_pattern(row[0]).fullmatch(name)) for row in _table()) == 1, name


@LAYOUTS
def test_no_two_tensors_have_one_foreign_name(layout, released):
    foreign = [part for name in released for part in layout.foreign(name)]
    assert len(set(foreign)) == len(foreign) == len(layout.from_ours(released))


@LAYOUTS
def test_a_foreign_name_leads_back_to_ours(layout, released):
    for name in released:
        parts = layout.foreign(name)
        for index, foreign in enumerate(parts):
            assert layout.place(foreign) == Place(name, index, len(parts))


@pytest.mark.parametrize(
    ("original", "hugging_face"),
    [
        ("logit_scale", "logit_scale"),
        ("img_encoder.pos_embed", "vision_model.embeddings.position_embeddings"),
        (
            "img_encoder.layers.0.blocks.5.attn.proj.weight",
            "vision_model.encoder.stages.0.layers.5.self_attn.out_proj.weight",
        ),
        (
            "img_encoder.layers.1.downsample.pre_assign_attn.attn.proj.bias",
            "vision_model.encoder.stages.1.downsample.pre_assign_attn.attn.out_proj.bias",
        ),
        (
            "img_encoder.layers.1.downsample.pre_assign_attn.norm2.weight",
            "vision_model.encoder.stages.1.downsample.pre_assign_attn.norm2.weight",
        ),
        (
            "img_encoder.layers.0.downsample.assign.proj.weight",
            "vision_model.encoder.stages.0.downsample.assign.proj.weight",
        ),
        (
            "img_encoder.layers.1.group_projector.1.fc2.weight",
            "vision_model.encoder.stages.1.group_projector.1.fc2.weight",
        ),
        (
            "text_encoder.transformer.resblocks.11.mlp.c_proj.weight",
            "text_model.encoder.layers.11.mlp.fc2.weight",
        ),
        ("text_encoder.positional_embedding", "text_model.embeddings.position_embedding.weight"),
        ("img_projector.linear_hidden.1.running_var", "visual_projection.1.running_var"),
        ("text_projector.linear_out.weight", "text_projection.3.weight"),
    ],
)
def test_one_tensor_has_these_two_names(original, hugging_face):
    assert ORIGINAL.place(original).name == HUGGING_FACE.place(hugging_face).name


@LAYOUTS
def test_there_and_back_is_exact(layout, tensors):
    for ours in tensors:
        back = layout.to_ours(layout.from_ours(ours))
        kept = {name: tensor for name, tensor in ours.items() if layout.foreign(name)}
        assert back.keys() == kept.keys()
        assert all(torch.equal(back[name], kept[name]) for name in kept)


@LAYOUTS
def test_back_and_there_is_exact(layout, tensors):
    for ours in tensors:
        foreign = layout.from_ours(ours)
        again = layout.from_ours(layout.to_ours(foreign))
        assert again.keys() == foreign.keys()
        assert all(torch.equal(again[name], foreign[name]) for name in foreign)


def test_only_hugging_face_drops_the_second_temperature(tensors):
    dropped = [name for name in tensors[0] if not HUGGING_FACE.foreign(name)]
    assert dropped == ["multi_label_log_scale"]
    assert all(ORIGINAL.foreign(name) for name in tensors[0])


def test_query_key_and_value_are_cut_in_this_order(tensors):
    whole = tensors[0]["image_encoder.stages.0.blocks.0.attn.qkv.weight"]
    foreign = HUGGING_FACE.from_ours(tensors[0])
    names = [f"vision_model.encoder.stages.0.layers.0.self_attn.{x}_proj.weight" for x in "qkv"]
    assert torch.equal(torch.cat([foreign[name] for name in names]), whole)


def test_parts_may_come_in_any_order(tensors):
    foreign = HUGGING_FACE.from_ours(tensors[0])
    back = HUGGING_FACE.to_ours(dict(reversed(foreign.items())))
    assert all(torch.equal(back[name], tensors[0][name]) for name in back)


def test_the_original_keeps_its_projectors_as_convolutions(tensors):
    original = ORIGINAL.from_ours(tensors[0])
    assert original["img_projector.linear_hidden.0.weight"].shape == (48, 32, 1)
    assert original["text_projector.linear_out.weight"].shape == (16, 48, 1)
    assert HUGGING_FACE.from_ours(tensors[0])["visual_projection.0.weight"].shape == (48, 32)


@LAYOUTS
def test_names_that_are_left_over_are_listed(layout, tensors):
    foreign = layout.from_ours(tensors[0])
    foreign |= {"classifier.weight": torch.zeros(1), "a.bias": torch.zeros(1)}
    with pytest.raises(InputError, match=re.escape("left over: a.bias, classifier.weight")):
        layout.to_ours(foreign)


def test_a_missing_part_is_listed(tensors):
    foreign = HUGGING_FACE.from_ours(tensors[0])
    name = "text_model.encoder.layers.1.self_attn.k_proj.bias"
    del foreign[name]
    with pytest.raises(InputError, match=f"missing: {re.escape(name)}$"):
        HUGGING_FACE.to_ours(foreign)


@pytest.mark.parametrize("tower", ["text_model", "vision_model"])
def test_position_ids_of_old_files_are_ignored(tensors, tower):
    foreign = HUGGING_FACE.from_ours(tensors[0])
    foreign[f"{tower}.embeddings.position_ids"] = torch.arange(77)[None]
    assert len(HUGGING_FACE.to_ours(foreign)) == len(tensors[0]) - 1


@LAYOUTS
@pytest.mark.parametrize("name", ["logit_scale2", "module.logit_scale", "x", "", "log_scale"])
def test_names_are_matched_whole(layout, name):
    assert layout.place(name) is None


def test_long_lists_of_tensors_stay_one_sentence():
    names = [f"tensor{number:03d}" for number in range(300)]
    with pytest.raises(InputError, match=r"missing: tensor000, .*tensor007 and 292 more$") as error:
        check_names(names, [])
    assert len(str(error.value)) < 300
