"""Digests of models, and files that are not what they should be."""

import hashlib
import shutil

import pytest

from groupvit.cli import main
from groupvit.errors import InputError
from groupvit.weights import checkpoint, file_digests
from groupvit.weights.checkpoint import Origin
from groupvit.weights.packaged import PACKAGED


@pytest.fixture
def folder(tiny_model, tmp_path):
    checkpoint.save(tmp_path / "model", tiny_model, Origin(source="a test"))
    return tmp_path / "model"


@pytest.mark.parametrize("name", PACKAGED)
def test_bundled_models_are_as_their_sums_say(name):
    """After a change: python scripts/bundle_model.py, or sha256sum in the folder of the model."""
    files = file_digests.of_model(name)
    assert [file.name for file in files] == ["config.json", "model.safetensors"]
    assert all(file.digest == file.expected for file in files)


def test_a_file_of_sums_beside_a_model_is_used(folder, capsys):
    names = ("config.json", "model.safetensors")
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "SHA256SUMS").write_text("".join(f"{sums[name]}  {name}\n" for name in names))
    assert main(["verify", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert all(digest in printed for digest in sums.values())
    (folder / "config.json").write_text("{}")
    assert main(["verify", str(folder)]) == 1
    assert "DIFFERENT" in capsys.readouterr().out


def test_a_digest_may_be_given(folder, capsys):
    weights = folder / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert main(["verify", str(folder), "--sha256", digest.upper()]) == 0
    assert main(["verify", str(weights), "--sha256", "0" * 64]) == 1
    capsys.readouterr()
    assert main(["verify", str(folder)]) == 2
    assert "no digest is known for" in capsys.readouterr().err
    assert main(["info", str(folder)]) == 0
    assert digest in capsys.readouterr().out


def test_the_hub_names_large_files_by_their_digest(folder, tmp_path):
    weights = folder / "model.safetensors"
    digest = file_digests.sha256(weights)
    for name, is_equal in ((digest, True), ("0" * 64, False)):
        blob = tmp_path / "blobs" / name
        blob.parent.mkdir(exist_ok=True)
        shutil.copy(weights, blob)
        snapshot = tmp_path / name / "model.safetensors"
        snapshot.parent.mkdir()
        snapshot.symlink_to(blob)
        [file] = file_digests.of_model(snapshot.parent)
        assert file.authority == "the hub"
        assert (file.digest == file.expected) is is_equal


def test_what_has_no_files_is_refused(tmp_path):
    assert file_digests.of_model("random") == []
    with pytest.raises(InputError, match="holds no weights"):
        file_digests.of_model(tmp_path)
    with pytest.raises(InputError, match="there is no model"):
        file_digests.of_model("nothing-of-that-name")
