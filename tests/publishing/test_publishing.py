"""Model cards and uploads; nothing is uploaded without --send."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

from groupvit.cli import main
from groupvit.evaluation.measurement import fingerprint
from groupvit.weights import catalogue
from tests.data.pairs import write_shards
from tests.training.conftest import SETTINGS

HUB_ID = "someone/drawn"


def push(tmp_path, *options, model="storybook", license="apache-2.0"):  # noqa: A002
    command = ["push", model, HUB_ID, "--license", license, "--out", str(tmp_path / "push")]
    return main([*command, *map(str, options)])


@pytest.fixture
def evaluation(tmp_path):
    """Stored evaluation of the bundled model."""

    def write(**changes):
        values = {
            "fingerprint": fingerprint(catalogue.load("storybook").model),
            "benchmark": "storybook, seed 2022, 80 px",
            "num_images": 500,
            "protocol": "ours",
            "weights": "a test",
            "deviations": [
                {
                    "name": "refinement",
                    "value": 10,
                    "original": None,
                    "description": "refinement 10 instead of none",
                }
            ],
            "naming": "levels",
            "clusters": None,
            "labels": ["sky", "sea"],
            "certainty": None,
            "background_threshold": None,
            "background_thresholds": {},
            "background_words": [],
            "dtype": "float32",
            "scores": {"miou": 0.85, "pixel_accuracy": 0.9, "iou": {"sky": 0.9, "sea": 0.8}},
            "confusion": [[9, 1], [2, 8]],
            "boundary": {"miou": 0.6},
            "oracles": [{"miou": 0.8}, {"miou": 0.9}],
        }
        folder = tmp_path / "evaluation"
        folder.mkdir(exist_ok=True)
        (folder / "scores.json").write_text(json.dumps({**values, **changes}))
        return folder

    return write


@pytest.fixture
def trained_run(tmp_path):
    shards = write_shards(tmp_path / "shards", 9)
    settings = tmp_path / "tiny.toml"
    settings.write_text(SETTINGS.format(out=tmp_path / "run", shards=shards))
    assert main(["train", str(settings), "--steps", "2"]) == 0
    return tmp_path / "run"


def test_nothing_is_sent_unless_it_is_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("groupvit.weights.hub.send", lambda *_, **__: pytest.fail("sent"))
    assert push(tmp_path) == 0
    told = capsys.readouterr().out
    assert "nothing was sent" in told
    assert "model.safetensors" in told
    pushed = catalogue.load(tmp_path / "push/drawn")
    assert pushed.coverage == catalogue.load("storybook").coverage
    written = pushed.model.state_dict()
    for name, values in catalogue.load("storybook").model.state_dict().items():
        assert torch.equal(written[name], values)


def test_the_card_tells_what_is_recorded(tmp_path, evaluation):
    assert push(tmp_path, "--evaluations", evaluation(), license="cc-by-4.0") == 0
    text = (tmp_path / "push/drawn/README.md").read_text()
    card = ModelCard(text)
    assert card.data.license == "cc-by-4.0"
    assert card.data.library_name == "groupvit"
    [result] = card.data.eval_results
    assert result.metric_value == 0.85
    assert result.metric_name == "mIoU (protocol ours)"
    for words in (
        "--model someone/drawn",
        "100,000 drawn scenes with 300,000 captions, and no mask",
        "| storybook, seed 2022, 80 px | 500 | ours | refinement 10 instead of none | 85.0 |",
        "48, then 24",
        "cc-by-4.0",
        "The settings of the run are not part of the checkpoint",
    ):
        assert words in text


def test_the_folder_of_a_run_brings_its_recipe(tmp_path, trained_run):
    assert push(tmp_path, model=str(trained_run)) == 0
    text = (tmp_path / "push/drawn/README.md").read_text()
    assert "| steps | 2 of 4 pairs on each rank |" in text
    assert '"steps": 2' in text


@pytest.mark.parametrize(
    ("options", "changes", "sentence"),
    [
        ({"model": "random"}, None, "is untrained"),
        ({}, {"fingerprint": "0" * 16}, "evaluation of other weights"),
        ({"model": "no-such-model"}, None, "there is no model"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, capsys, evaluation, options, changes, sentence):
    evaluations = [] if changes is None else ["--evaluations", evaluation(**changes)]
    assert push(tmp_path, *evaluations, **options) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "push/drawn").exists()


def test_a_name_that_is_none_is_refused(capsys):
    assert main(["push", "storybook", "drawn", "--license", "mit"]) == 2
    assert "OWNER/NAME" in capsys.readouterr().err


def test_transformers_loads_what_is_pushed_for_it(tmp_path):
    from transformers import GroupViTModel

    from groupvit.model.config import GroupViTConfig
    from groupvit.model.groupvit import GroupViT
    from groupvit.weights import checkpoint
    from groupvit.weights.checkpoint import Origin

    checkpoint.save(tmp_path / "own", GroupViT(GroupViTConfig()), Origin(source="a test"))
    assert push(tmp_path, "--to", "huggingface", model=str(tmp_path / "own")) == 0
    text = (tmp_path / "push/drawn/README.md").read_text()
    assert "GroupViTModel.from_pretrained" in text
    assert ModelCard(text).data.library_name == "transformers"
    assert isinstance(GroupViTModel.from_pretrained(tmp_path / "push/drawn"), GroupViTModel)


@pytest.fixture
def fake_hub():
    """As much of a hub as takes a model; it notes what it was given."""
    given = {}

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer({"type": "user", "name": "someone", "auth": {}})

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            given.setdefault("tokens", set()).add(self.headers.get("Authorization"))
            if self.path == "/api/repos/create":
                given["created"] = json.loads(body)
                self._answer({"url": f"{given['address']}/{HUB_ID}"})
            elif self.path == "/api/validate-yaml":
                self._answer({"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                files = json.loads(body)["files"]
                modes = [{"path": one["path"], "uploadMode": "regular"} for one in files]
                self._answer({"files": [{**mode, "shouldIgnore": False} for mode in modes]})
            else:
                lines = [json.loads(line) for line in body.splitlines()]
                given["files"] = {one["value"]["path"] for one in lines if one["key"] == "file"}
                url = f"{given['address']}/{HUB_ID}/commit/1"
                self._answer({"commitOid": "1", "commitUrl": url, "hookOutput": ""})

        def _answer(self, values):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(values).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    given["address"] = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield given
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_the_real_library_sends_the_folder_that_was_read_before(tmp_path, fake_hub):
    assert push(tmp_path) == 0
    card = tmp_path / "push/drawn/README.md"
    card.write_text(card.read_text() + "\nMended by hand.\n")
    command = ["push", "storybook", HUB_ID, "--license", "mit", "--out", tmp_path / "push"]
    ended = subprocess.run(
        [sys.executable, "-m", "groupvit", *command, "--private", "--send"],
        env={**os.environ, "HF_ENDPOINT": fake_hub["address"], "HF_TOKEN": "hf_test"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert fake_hub["created"]["visibility"] == "private"
    assert fake_hub["files"] == {"README.md", "config.json", "model.safetensors"}
    assert fake_hub["tokens"] == {"Bearer hf_test"}
    assert "Mended by hand" in card.read_text()
    assert f"{fake_hub['address']}/{HUB_ID}" in ended.stdout


def test_without_a_token_it_says_how_to_get_one(tmp_path):
    home = Path(tmp_path, "home")
    command = ["push", "storybook", HUB_ID, "--license", "mit", "--out", tmp_path / "push"]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    ended = subprocess.run(
        [sys.executable, "-m", "groupvit", *command, "--send"],
        env={**quiet, "HF_HOME": str(home), "HF_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2
    assert "hf auth login" in ended.stderr
