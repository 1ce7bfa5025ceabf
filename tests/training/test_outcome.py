"""The end of a run tells what was learned, beside floors or chance."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from groupvit.data import index
from groupvit.errors import InputError
from groupvit.probes.retrieval import retrieval
from groupvit.training import outcome
from groupvit.training.group_usage import GroupUsage
from groupvit.training.trainer import train
from tests.data.pairs import write_shards
from tests.lively import lively_model


@pytest.fixture
def prepared(tmp_path):
    write_shards(tmp_path / "apart", 9, 6)
    return index.prepare(sorted((tmp_path / "apart").glob("*.tar")), None)


@pytest.fixture
def folder(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / "own" / kind).mkdir(parents=True)
    for number in range(2):
        half = np.zeros((16, 16), np.uint8)
        half[:, 8:] = 1
        Image.fromarray(half * 200).convert("RGB").save(tmp_path / f"own/images/{number}.png")
        Image.fromarray(half).save(tmp_path / f"own/masks/{number}.png")
    (tmp_path / "own/classes.txt").write_text("dog\ncat\n")
    return tmp_path / "own"


def test_a_run_ends_with_retrieval_among_pairs_it_was_trained_on(config, capsys):
    train(config)
    printed = capsys.readouterr().out
    assert "on 21 pairs that it was trained on" in printed
    assert "captions by image: recall at 1, 5, 10 [%], by chance in brackets:" in printed
    assert "flatter it; name shards without them in evaluate_shards" in printed
    assert "stage 1: " in printed
    assert "--model" in printed.splitlines()[-1]


def test_pairs_kept_apart_take_their_place(config, prepared, capsys):
    paths = tuple(str(shard.path) for shard in prepared)
    train(replace(config, evaluate_shards=paths, evaluate_limit=10))
    printed = capsys.readouterr().out
    assert "on 10 pairs kept apart from training" in printed
    assert "flatter" not in printed


def test_masks_give_scores_beside_floors(config, folder, capsys):
    train(replace(config, evaluate_folder=str(folder)))
    printed = capsys.readouterr().out
    assert re.search(r"on 2 images of .*own\S*: mIoU", printed)
    assert "floors: dog everywhere" in printed
    assert "Stage 1: the groups (" in printed
    assert "pairs that it was trained on" not in printed


def test_a_stopped_run_has_no_outcome(config, monkeypatch, capsys):
    monkeypatch.setattr("groupvit.training.trainer._loop", lambda *_: True)
    train(config)
    assert "on 21 pairs" not in capsys.readouterr().out


def test_shards_of_both_kinds_are_refused_before_training(config):
    with pytest.raises(InputError, match=r"is in evaluate_shards and in data\.shards"):
        train(replace(config, evaluate_shards=config.data.shards))


def test_pairs_are_spread_over_the_shards(prepared):
    done = []
    found = retrieval(lively_model(), prepared, limit=5, on_progress=lambda *x: done.append(x))
    assert (found.num_images, done[-1]) == (5, (5, 5))
    assert retrieval(lively_model(), prepared, limit=99).num_images == 15


def vectors(model, monkeypatch, image, text):
    embed = model.embed_image
    monkeypatch.setattr(
        model, "embed_image", lambda x, **named: embed(x, **named)._replace(image=image(len(x)))
    )
    monkeypatch.setattr(model, "encode_text", lambda tokens: text(len(tokens)))


@pytest.mark.parametrize(("right", "verdict"), [(True, "more than chance by"), (False, "nothing")])
def test_only_what_exceeds_chance_by_two_errors_is_claimed(tmp_path, monkeypatch, right, verdict):
    write_shards(tmp_path / "many", 60)
    shards = index.prepare(sorted((tmp_path / "many").glob("*.tar")), None)
    model = lively_model()
    captions = retrieval(model, shards).num_captions // 60
    eye = torch.eye(64)

    def text(count):
        order = torch.arange(count) // captions
        return eye[order if right else (order * 0)]

    vectors(model, monkeypatch, lambda count: eye[:count], text)
    lines = outcome.recalls(model, shards, limit=0, trained_on=False, device="cpu")
    assert verdict in lines[2]


def test_a_collapse_is_named():
    model = lively_model()
    stages = [stage for stage in model.config.image.stages if stage.num_groups]
    some = torch.ones(len(stages))
    collapsed = outcome.usage_lines(model, GroupUsage(1.0 * some, some, 0.99 * some))
    spread = outcome.usage_lines(model, GroupUsage(2.0 * some, some, 0.6 * some))
    assert all("it has collapsed" in line for line in collapsed)
    assert not any("collapsed" in line for line in spread)
