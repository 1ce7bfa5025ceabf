import math
from dataclasses import replace

import pytest

from groupvit.config import from_values, to_values
from groupvit.errors import InputError
from groupvit.model.inference import InferenceConfig
from groupvit.training.config import ObjectiveConfig, OptimConfig, TrainingConfig


def test_the_defaults_are_the_recipe_of_the_paper():
    config = TrainingConfig()
    optim = config.optim
    assert (optim.lr, optim.first_lr, optim.last_lr) == (1.6e-3, 4e-6, 4e-5)
    assert (optim.beta1, optim.beta2, optim.eps) == (0.9, 0.999, 1e-8)
    assert (optim.weight_decay, optim.clip) == (0.05, 5.0)
    assert config.steps * 4096 == pytest.approx(30 * 28_663_147, rel=1e-2)
    assert config.ema_decay == 0


def test_settings_written_and_read_are_the_same(config):
    for one in (config, TrainingConfig(), replace(config, freeze=("text",), start="random")):
        assert from_values(TrainingConfig, to_values(one), where="here") == one


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", 0.0),
        ("lr", -1.0),
        ("lr", math.nan),
        ("lr", math.inf),
        ("first_lr", -1e-6),
        ("last_lr", math.nan),
        ("warmup_steps", -1),
        ("weight_decay", -0.1),
        ("beta1", 1.0),
        ("beta2", -0.5),
        ("eps", 0.0),
        ("clip", 0.0),
    ],
)
def test_an_optimizer_refuses_nonsense_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} is .*; it must be"):
        OptimConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("seed", -1),
        ("chunk", -1),
        ("ema_decay", 1.0),
        ("log_every", 0),
        ("evaluate_every", 0),
        ("evaluate_limit", -1),
        ("save_every", 0),
        ("keep_last", 0),
        ("max_skipped", -1),
        ("out", ""),
    ],
)
def test_a_training_refuses_nonsense_by_name(config, name, value):
    with pytest.raises(ValueError, match=f"{name} is "):
        replace(config, **{name: value})


def test_a_warm_up_longer_than_the_run_is_refused(config):
    with pytest.raises(ValueError, match="more than the 1 steps; lower it too"):
        replace(config, steps=1)


def test_data_and_model_share_one_image_size(config):
    assert config.image_size == config.model.image.image_size == 16
    with pytest.raises(InputError, match="data: unknown setting image_size"):
        from_values(TrainingConfig, {"data": {"image_size": 16}}, where="here")


def test_pieces_are_refused_where_batch_norms_need_the_whole_batch(config):
    image = replace(config.model.image, stem="convolutions")
    with pytest.raises(InputError, match="leave chunk at 0"):
        replace(config, model=replace(config.model, image=image), chunk=4)


def test_the_loss_on_patches_comes_with_its_projector(config):
    with pytest.raises(InputError, match="set both or neither"):
        replace(config, objective=ObjectiveConfig(patch_nouns_weight=1.0))
    with pytest.raises(InputError, match="set both or neither"):
        replace(config, model=replace(config.model, patch_projector=True))


@pytest.mark.parametrize("missing", ["patch_nouns_weight", "segment_nouns_weight"])
def test_painting_wants_patches_that_teach_and_segments_that_learn(missing):
    weights = {
        "patch_nouns_weight": 1.0,
        "segment_nouns_weight": 1.0,
        "segment_distillation_weight": 1.0,
    }
    ObjectiveConfig(**weights)
    with pytest.raises(InputError, match="segment_distillation_weight needs"):
        ObjectiveConfig(**{**weights, missing: 0.0})


def test_only_known_parts_can_be_frozen():
    with pytest.raises(InputError, match="'eyes', which is not 'text' or 'all-but-groups'"):
        from_values(TrainingConfig, {"freeze": ["eyes"]}, where="here")


def test_a_background_comes_with_its_loss_and_that_with_others(config):
    with pytest.raises(InputError, match="set both or neither"):
        replace(config, model=replace(config.model, background_layer=True))
    both = {"background_layer_weight": 1.0, "segment_nouns_weight": 1.0}
    with pytest.raises(InputError, match="set both or neither"):
        replace(config, objective=ObjectiveConfig(**both))
    with pytest.raises(InputError, match="background_layer_weight needs one of"):
        ObjectiveConfig(background_layer_weight=1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"caption_weight": 0.0, "multi_label_weight": 0.0}, "no loss compares images or segments"),
        (
            {"caption_weight": 0.0, "multi_label_weight": 0.0, "patch_nouns_weight": 1.0},
            "no loss compares images or segments",
        ),
        ({"every_stage": True}, "objective.every_stage applies to losses of segments"),
        ({"every_stage": True, "patch_nouns_weight": 1.0}, "every_stage applies to losses of segm"),
        ({"form": "paper", "caption": "sigmoid"}, "form 'paper' is a form of the contrastive loss"),
        ({"caption": "sigmoid", "caption_weight": 0.0}, "caption_weight is 0; set both or neither"),
        (
            {
                "form": "paper",
                "caption_weight": 0.0,
                "multi_label_weight": 0.0,
                "segment_nouns_weight": 1.0,
            },
            "form 'paper' has no effect",
        ),
    ],
)
def test_losses_without_effect_are_refused(settings, message):
    with pytest.raises(InputError, match=message) as mistake:
        ObjectiveConfig(**settings)
    assert "\n" not in str(mistake.value)


@pytest.mark.parametrize("weight", ["segment_nouns_weight", "partial_label_weight"])
def test_losses_on_nouns_need_prompts(config, weight):
    data, losses = replace(config.data, num_prompts=0), ObjectiveConfig(**{weight: 1.0})
    with pytest.raises(InputError, match=r"data\.num_prompts is 0, so that the losses on nouns"):
        replace(config, data=data, objective=losses)
    with pytest.raises(InputError, match=r"data\.num_prompts is 0 and objective\.caption_weight"):
        replace(config, data=data, objective=ObjectiveConfig(caption_weight=0.0))
    assert replace(config, data=data).data.num_prompts == 0


def test_dilations_are_refused_where_no_convolutions_are(config):
    image = replace(config.model.image, stem_dilations=(1, 2))
    with pytest.raises(InputError, match="stem is 'patches', which has none; leave them out"):
        replace(config, model=replace(config.model, image=image))
    image = replace(image, stem="convolutions")
    assert replace(config, model=replace(config.model, image=image)).model.image == image


def test_naming_by_parts_needs_projected_patches(config):
    parts = InferenceConfig(naming="parts")
    with pytest.raises(InputError, match=r"model\.patch_projector is False; set it and"):
        replace(config, inference=parts)
    model, trained = (
        replace(config.model, patch_projector=True),
        ObjectiveConfig(patch_nouns_weight=1.0),
    )
    assert replace(config, inference=parts, model=model, objective=trained).inference == parts


def test_naming_by_levels_needs_segments_that_were_trained(config):
    levels = InferenceConfig(naming="levels")
    with pytest.raises(InputError, match=r"no loss trains them; set objective\.every_stage and"):
        replace(config, inference=levels)
    assert replace(config, inference=levels, start="models/mine").inference == levels
    trained = ObjectiveConfig(segment_nouns_weight=1.0, every_stage=True)
    assert replace(config, inference=levels, objective=trained).inference == levels
