import subprocess
import sys
from types import SimpleNamespace

import huggingface_hub.errors as errors
import pytest

from groupvit.errors import InputError
from groupvit.weights import hub

NAME = "someone/groupvit"


class Response:
    """What the hub's errors keep of an answer."""

    status_code, headers, request = 404, {}, None


def make(kind):
    http = issubclass(kind, errors.HfHubHTTPError)
    text = "404 Client Error.\n\nmore lines\nhttps://hub"
    return kind(text, response=Response()) if http else kind(text)


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """Lets the hub hold these files; with an error, asking or downloading raises it."""

    def serve_files(*names, asking=None, downloading=None):
        downloaded = []

        def info(_hub_id, *, revision, timeout):
            assert timeout > 0
            if asking:
                raise make(asking)
            files = [SimpleNamespace(rfilename=name) for name in names]
            return SimpleNamespace(siblings=files, sha=revision)

        def download(hub_id, filename, *, revision):
            if downloading:
                raise make(downloading)
            downloaded.append((hub_id, filename, revision))
            (tmp_path / filename).write_text(filename)
            return str(tmp_path / filename)

        monkeypatch.setattr(hub, "model_info", info)
        monkeypatch.setattr(hub, "hf_hub_download", download)
        monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_, **__: None)
        return downloaded

    return serve_files


@pytest.mark.parametrize("name", ["nvidia/groupvit-gcc-yfcc", "a/b", "A_1.x/b-2"])
def test_owner_and_model_make_a_hub_id(name):
    assert hub.is_hub_id(name)


@pytest.mark.parametrize(
    "name",
    ["model", "./a/b", "../b", "/a/b", "~/b", "a/b/c", "a b/c", "", "/", "a/", "https://a/b"],
)
def test_other_names_make_none(name):
    assert not hub.is_hub_id(name)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_the_folder_that_holds_the_files_is_returned(serve, tmp_path, weights):
    serve("config.json", weights)
    assert hub.fetch(NAME, None) == tmp_path
    assert (tmp_path / weights).exists()


def test_pickled_weights_are_fetched_only_for_want_of_others(serve):
    asked = serve("config.json", "model.safetensors", "pytorch_model.bin")
    hub.fetch(NAME, "v1")
    assert asked == [(NAME, "config.json", "v1"), (NAME, "model.safetensors", "v1")]


@pytest.mark.parametrize("held", [(), ("config.json",), ("model.safetensors",), ("README.md",)])
def test_a_model_without_what_a_groupvit_needs_is_refused_before_any_download(serve, held):
    downloaded = serve(*held)
    with pytest.raises(InputError, match=r"is no GroupViT; it needs config\.json and"):
        hub.fetch(NAME, None)
    assert downloaded == []


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (errors.LocalEntryNotFoundError, f"not in the hub's local cache.* 'hf download {NAME}'"),
        (errors.OfflineModeIsEnabled, f"not in the hub's local cache.* 'hf download {NAME}'"),
        (errors.HTTPError, f"not in the hub's local cache.* 'hf download {NAME}'"),
        (errors.RevisionNotFoundError, "has no revision 'v1'"),
        (errors.GatedRepoError, "needs an account: run 'hf auth login' first"),
        (errors.RepositoryNotFoundError, "no folder and no model on the hub named"),
        (errors.HFValidationError, "no folder and no model on the hub named"),
        (errors.HfHubHTTPError, "the hub refused someone/groupvit: 404 Client Error"),
        (errors.DisabledRepoError, "the hub refused"),
        (errors.FileMetadataError, "cannot be fetched: 404"),
        (OSError, "cannot be fetched: 404"),
    ],
)
@pytest.mark.parametrize("moment", ["asking", "downloading"])
def test_every_error_of_the_hub_becomes_one_sentence(serve, kind, says, moment):
    serve("config.json", "model.safetensors", **{moment: kind})
    with pytest.raises(InputError, match=says) as refusal:
        hub.fetch(NAME, "v1")
    assert NAME in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_what_is_in_the_cache_is_taken_without_asking_the_hub(
    serve, tmp_path, monkeypatch, weights
):
    serve(asking=errors.HTTPError)
    held = {"config.json": str(tmp_path / "config.json"), weights: str(tmp_path / weights)}
    monkeypatch.setattr(
        hub, "try_to_load_from_cache", lambda _, name, revision: held.get(name, revision)
    )
    assert hub.fetch(NAME, None) == tmp_path


OFFLINE = """
import pytest
from groupvit.errors import InputError
from groupvit.weights import catalogue
with pytest.raises(InputError, match="not in the hub's local cache, and the hub cannot be reached"):
    catalogue.load("someone/groupvit")
"""


@pytest.mark.slow
def test_offline_and_without_cache_the_way_out_is_told(tmp_path):
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment |= {"PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-W", "error", "-c", OFFLINE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
