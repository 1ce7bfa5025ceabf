"""What a run does: it learns, speaks, skips, stops, scores and saves."""

import json
import math
import os
import signal
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from groupvit.config import load_toml, to_values
from groupvit.errors import InputError
from groupvit.model.groupvit import GroupViT
from groupvit.text.coverage import Coverage
from groupvit.training import state
from groupvit.training.config import ObjectiveConfig, TrainingConfig
from groupvit.training.run_folder import RunFolder
from groupvit.training.trainer import train
from groupvit.weights import catalogue, checkpoint, hugging_face
from tests.data.pairs import WORDS, photo, sample, write_shards, write_tar
from tests.training.conftest import SETTINGS
from tests.training.runs import DRAWN, equal, trace, weights


@pytest.fixture
def at_step(monkeypatch):
    """Does something to the images when they are augmented at a step, counted from 1."""

    def at_step(steps, do):
        augment = state.augment
        passed = iter(range(1, 1000))

        def changed(images, settings, *, generator):
            done = augment(images, settings, generator=generator)
            return do(done) if next(passed) in steps else done

        monkeypatch.setattr(state, "augment", changed)

    return at_step


def test_a_run_leaves_a_model_that_can_be_loaded(config, capsys):
    assert train(config) == 0
    model, origin, *_ = checkpoint.load(RunFolder(Path(config.out)).latest())
    assert model.config == config.model
    assert origin.source == "trained in run for 8 steps"
    assert "--model" in capsys.readouterr().out.splitlines()[-1]


def test_the_loss_falls(config):
    calm = replace(config.optim, lr=3e-3, warmup_steps=5)
    train(replace(config, steps=60, optim=calm, ema_decay=0.0, save_every=60))
    losses = [step[1] for step in trace(config.out)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_every_line_tells_what_one_wants_to_know(config):
    train(config)
    line = json.loads((Path(config.out) / "log.jsonl").read_text().splitlines()[-1])
    wanted = {*DRAWN, "step", "damaged", "skipped", "images_per_second", "waiting", "memory_gib"}
    groups = {f"stage1/{name}" for name in ("groups_used", "entropy", "largest")}
    assert set(line) == (wanted | groups) - {"miou"}


def test_two_runs_of_one_seed_are_equal_and_of_another_differ(config, tmp_path):
    runs = [replace(config, out=str(tmp_path / name)) for name in "abc"]
    runs[2] = replace(runs[2], seed=4)
    for one in runs:
        train(one)
    first, same, other = (trace(one.out) for one in runs)
    assert first == same != other
    assert equal(weights(runs[0].out), weights(runs[1].out))


def test_a_finished_run_has_nothing_left_to_do(config):
    train(config)
    before = trace(config.out)
    assert train(config) == 0
    assert trace(config.out) == before


def test_a_run_can_be_made_longer(config):
    train(config)
    assert train(replace(config, steps=10)) == 0
    assert [step for step, *_ in trace(config.out)] == list(range(1, 11))


def test_a_step_that_is_no_number_is_skipped(config, at_step, capsys):
    at_step({3}, lambda images: images * torch.nan)
    assert train(replace(config, ema_decay=0.0, save_every=1, keep_last=9)) == 0
    assert equal(weights(config.out, 2), weights(config.out, 3))
    assert not equal(weights(config.out, 3), weights(config.out, 4))
    assert all(value.isfinite().all() for value in weights(config.out).values())
    assert "step 3 is skipped" in capsys.readouterr().out
    assert trace(config.out)[2][1] is None


def test_too_many_skipped_steps_end_the_run_and_name_what_is_left(config, at_step):
    at_step({4, 6, 7, 8}, lambda images: images * torch.inf)
    with pytest.raises(InputError, match=r"3 consecutive steps; .* --start .*step-000006$"):
        train(replace(config, max_skipped=2, save_every=2))


def test_batches_without_nouns_change_nothing_that_nouns_alone_train(config, tmp_path):
    parts = [part for n in range(8) for part in sample(n, captions=["two"])]
    data = replace(config.data, shards=(str(write_tar(tmp_path / "none.tar", parts)),))
    losses = ObjectiveConfig(caption_weight=0.0, multi_label_weight=0.0, segment_nouns_weight=1.0)
    stays = replace(config, data=data, objective=losses, ema_decay=0.0, save_every=1, keep_last=9)
    assert train(stays) == 0
    assert [loss for _, loss, *_ in trace(config.out)] == [0.0] * 8
    first, last = weights(config.out, 1), weights(config.out, 8)
    parameters = dict(GroupViT(config.model).named_parameters())
    assert all(torch.equal(first[name], last[name]) for name in parameters)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_asked_to_stop_saves_and_can_go_on(config, tmp_path, at_step, number, code):
    handler = signal.getsignal(number)
    train(replace(config, out=str(tmp_path / "whole")))

    def ask(images):
        os.kill(os.getpid(), number)
        return images

    at_step({4}, ask)
    assert train(config) == code
    assert RunFolder(Path(config.out)).latest().name == "step-000004"
    assert signal.getsignal(number) is handler
    assert train(config) == 0
    assert trace(config.out) == trace(tmp_path / "whole")
    assert equal(weights(config.out), weights(tmp_path / "whole"))


def test_a_second_ctrl_c_stops_at_once(config, at_step):
    def ask(images):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return images

    at_step({2}, ask)
    with pytest.raises(KeyboardInterrupt):
        train(config)


@pytest.fixture
def scenes(tmp_path):
    """A folder to evaluate on: two images of a dog on the left."""
    folder = tmp_path / "scenes"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    mask = np.repeat([[1, 0]], 24, axis=0).repeat(16, axis=1).astype(np.uint8)
    for number in range(2):
        Image.fromarray(photo(number)).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    (folder / "classes.txt").write_text("background\ndog\ncat\n")
    return str(folder)


@pytest.fixture
def scored(monkeypatch):
    """Lets evaluations give these scores, one after the other; returns the models that came."""
    seen = []

    def scored(*mious):
        left = iter(mious)

        def quick_scores(model, _folder, **_):
            torch.randn(1000)  # an evaluation may draw numbers
            seen.append(model)
            return {"miou": next(left), "oracle_miou": 0.9}

        monkeypatch.setattr(state, "quick_scores", quick_scores)
        return seen

    return scored


def test_the_best_checkpoint_is_that_of_the_highest_score_and_stays(config, scenes, scored):
    scored(0.1, 0.5, 0.3, 0.2)
    train(replace(config, evaluate_folder=scenes, evaluate_every=2, keep_last=1, save_every=8))
    run = RunFolder(Path(config.out))
    assert (run.best().name, run.latest().name) == ("step-000004", "step-000008")
    assert [line[-1] for line in trace(run.path) if line[0] % 2 == 0] == [0.1, 0.5, 0.3, 0.2]


def test_scores_stand_in_the_line_of_their_step(config, scenes):
    train(replace(config, evaluate_folder=scenes, ema_decay=0.0))
    lines = list(map(json.loads, (Path(config.out) / "log.jsonl").read_text().splitlines()))
    assert [line["step"] for line in lines if "miou" in line] == [4, 8]
    assert 0 <= lines[-1]["miou"] <= lines[-1]["oracle_miou"] <= 1


def test_a_folder_that_is_no_benchmark_is_refused_before_the_first_step(config, tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        train(replace(config, evaluate_folder=str(tmp_path / "nowhere")))


@pytest.mark.parametrize(
    "mistake", [{"start": "nowhere"}, {"evaluate_folder": "nowhere"}, {"data": "nowhere.tar"}]
)
def test_fresh_keeps_the_old_run_if_the_new_one_is_refused(config, mistake):
    train(config)
    before = {path: path.stat().st_mtime_ns for path in Path(config.out).rglob("*")}
    if "data" in mistake:
        mistake = {"data": replace(config.data, shards=(mistake["data"],))}
    with pytest.raises(InputError, match="nowhere"):
        train(replace(config, **mistake), fresh=True)
    assert {path: path.stat().st_mtime_ns for path in Path(config.out).rglob("*")} == before


def test_binary_masks_are_refused_before_the_first_step(config, scenes):
    for mask in Path(scenes, "masks").iterdir():
        Image.fromarray(255 * np.array(Image.open(mask))).save(mask)
    with pytest.raises(InputError, match=r"--mask-values 0=background 255=dog"):
        train(replace(config, evaluate_folder=scenes))
    assert not Path(config.out).exists()
    assert not (Path(config.out) / "log.jsonl").exists()


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_evaluations_do_not_change_the_training(config, tmp_path, scenes, scored, decay):
    scored(*[0.1] * 8)
    quiet = replace(config, ema_decay=decay, out=str(tmp_path / "quiet"))
    train(quiet)
    train(replace(quiet, evaluate_folder=scenes, evaluate_every=1, out=config.out))
    assert equal(weights(quiet.out), weights(config.out))


def test_the_average_is_what_is_evaluated(config, scenes, scored):
    seen = scored(0.1, 0.2)
    train(replace(config, evaluate_folder=scenes))
    assert equal(seen[-1].state_dict(), weights(config.out))


def test_frozen_parts_stay_as_they_are(config):
    frozen = replace(config, freeze=("text",), save_every=1, keep_last=9, ema_decay=0.0)
    train(frozen)
    first, last = weights(config.out, 1), weights(config.out)
    text = {name for name in first if name.startswith("text")}
    assert equal({name: first[name] for name in text}, last)
    assert not equal({name: first[name] for name in first.keys() - text}, last)


def test_a_run_can_start_from_a_model(config, tmp_path):
    train(config)
    still = replace(config.optim, lr=1e-30, first_lr=0.0, last_lr=0.0)
    start = str(RunFolder(Path(config.out)).latest())
    train(replace(config, start=start, optim=still, out=str(tmp_path / "second")))
    before, after = weights(config.out), weights(tmp_path / "second")
    assert equal({name: before[name] for name in before if ".norm." not in name}, after)


NUM_CAPTIONS = 2 * 21
"""Captions of the shards, all of which have the noun "number" or "hill"."""


def coverage_of(run):
    return catalogue.load(str(run)).coverage


def test_a_model_stores_its_domain_and_the_nouns_of_its_captions(config):
    train(replace(config, steps=3, domain="drawn numbers"))
    found = coverage_of(config.out)
    assert found.domain == "drawn numbers"
    assert (found.nouns["number"], found.nouns["hill"]) == (NUM_CAPTIONS / 2, NUM_CAPTIONS / 2)
    assert found.nouns["dog"] == 2 * 3
    assert {*WORDS, "number", "hill"} <= set(found.nouns)
    train(replace(config, domain="numbers"))
    assert coverage_of(config.out) == replace(found, domain="numbers")


def test_words_of_the_start_and_of_former_shards_stay_known(config, tmp_path):
    parts = [part for n in range(5) for part in sample(n, captions=["a zeppelin"])]
    shards = write_tar(tmp_path / "others.tar", parts)
    train(replace(config, steps=3, domain="drawn numbers"))
    other = replace(config.data, shards=(str(shards),))
    again = replace(config, start=config.out, out=str(tmp_path / "second"), data=other, steps=2)
    train(again)
    both = coverage_of(again.out)
    assert both.nouns == {**coverage_of(config.out).nouns, "zeppelin": 5}
    assert both.domain == "drawn numbers"
    back = replace(again, steps=4, data=config.data)
    train(back, changed=["data.shards"])
    assert coverage_of(again.out) == both


def test_a_model_from_weights_without_words_has_none(config, tmp_path):
    train(replace(config, steps=3))
    start = tmp_path / "start"
    hugging_face.save(start, catalogue.load(config.out).model)
    second = replace(config, start=str(start), out=str(tmp_path / "second"), domain="seas")
    train(replace(second, steps=3))
    train(replace(second, steps=4))
    assert coverage_of(second.out) == Coverage(domain="seas")


def test_a_start_of_another_architecture_is_refused(config, tmp_path):
    train(config)
    wider = replace(config.model, embedding_dim=4)
    start = str(RunFolder(Path(config.out)).latest())
    with pytest.raises(InputError, match=r"wrong shape: .*projector"):
        train(replace(config, model=wider, start=start, out=str(tmp_path / "second")))


def test_a_start_in_the_layout_of_transformers_lacks_a_part_which_begins_fresh(
    config, tmp_path, capsys
):
    train(config)
    start, still = tmp_path / "start", replace(config.optim, lr=1e-30, first_lr=0.0, last_lr=0.0)
    model = catalogue.load(config.out).model
    hugging_face.save(start, model)
    capsys.readouterr()
    train(replace(config, start=str(start), optim=still, out=str(tmp_path / "second")))
    note = "start: multi_label_log_scale begins fresh, as the start has none"
    assert capsys.readouterr().out.replace("\n", "").count(note) == 1
    after = weights(tmp_path / "second")
    assert after["multi_label_log_scale"].item() == pytest.approx(math.log(1 / 0.07))
    assert torch.equal(after["image_projector.fc1.weight"], model.image_projector.fc1.weight)


def test_bfloat16_and_pieces_of_a_batch_train_too(config):
    assert train(replace(config, precision="bfloat16", chunk=2)) == 0


def before_ranks(folder):
    shards = write_shards(folder / "shards", 12, 9)
    (folder / "tiny.toml").write_text(SETTINGS.format(out=folder / "run", shards=shards))


def on_each_rank(folder):
    """Six steps with two pairs of each rank; what it printed."""
    config = load_toml(TrainingConfig, folder / "tiny.toml")
    config = replace(config, steps=6, data=replace(config.data, batch_size=2))
    with redirect_stdout(StringIO()) as printed:
        assert train(config) == 0
    return printed.getvalue()


@pytest.mark.slow
def test_two_ranks_speak_once_and_one_rank_goes_on(both_ranks, ranks_folder):
    """Four pairs in a step: two of each rank, then four of one."""
    config = load_toml(TrainingConfig, ranks_folder / "tiny.toml")
    assert [step for step, *_ in trace(config.out)] == [1, 2, 3, 4, 5, 6]
    assert "".join(both_ranks).count("step 6/6") == 1
    assert train(config) == 0
    assert [step for step, *_ in trace(config.out)] == list(range(1, 9))
    assert to_values(RunFolder(Path(config.out)).settings())["data"]["batch_size"] == 4


def with_background(config, weight=1.0):
    nouns = replace(config.objective, segment_nouns_weight=1.0, background_layer_weight=weight)
    return replace(config, model=replace(config.model, background_layer=True), objective=nouns)


def test_a_background_is_learned_with_the_rest_and_goes_where_the_settings_say(config, tmp_path):
    learning = with_background(replace(config, save_every=1, keep_last=9))
    train(learning)
    first, last = weights(config.out, 1), weights(config.out)
    assert not torch.equal(first["background_layer.weight"], last["background_layer.weight"])
    line = json.loads((Path(config.out) / "log.jsonl").read_text().splitlines()[-1])
    assert line["loss/background_layer"] > 0
    start = str(RunFolder(Path(config.out)).latest())
    still = replace(config.optim, lr=1e-30, first_lr=0.0, last_lr=0.0)
    for name, settings in (("kept", learning), ("left", config)):
        settings = replace(settings, start=start, optim=still, out=str(tmp_path / name))
        train(settings)
        after = weights(settings.out)
        assert ("background_layer.weight" in after) == (name == "kept")
        assert torch.equal(last["image_projector.fc1.weight"], after["image_projector.fc1.weight"])
    assert torch.equal(
        weights(tmp_path / "kept")["background_layer.weight"], last["background_layer.weight"]
    )
    begun = replace(learning, start=str(tmp_path / "left"), optim=still, out=str(tmp_path / "new"))
    assert train(begun) == 0
