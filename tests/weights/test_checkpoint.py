import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from groupvit.errors import InputError
from groupvit.text.background import Background
from groupvit.text.coverage import Coverage
from groupvit.weights import checkpoint
from groupvit.weights.checkpoint import Origin

ORIGIN = Origin(source="a test", layout="original", trained=False)


@pytest.fixture(scope="module")
def saved_once(tiny_config, build, enliven, tmp_path_factory):
    model = enliven(build(tiny_config))
    folder = tmp_path_factory.mktemp("saved") / "model"
    checkpoint.save(folder, model, ORIGIN)
    return folder, model


@pytest.fixture
def folder(saved_once, tmp_path):
    """A checkpoint folder of the test's own."""
    return shutil.copytree(saved_once[0], tmp_path / "model")


def edit(folder, change):
    path = folder / "config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def edit_tensors(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_saved_is_loaded_exactly(saved_once):
    folder, model = saved_once
    loaded, origin, *_ = checkpoint.load(folder)
    assert loaded.config == model.config
    assert origin == ORIGIN
    values = loaded.state_dict()
    assert values.keys() == model.state_dict().keys()
    assert all(torch.equal(values[name], value) for name, value in model.state_dict().items())


def test_a_loaded_model_is_ready_to_be_used_and_trained(folder, draw):
    model = checkpoint.load(folder).model
    assert not model.training
    model.embed_image(draw(1, 3, 37, 53)).image.sum().backward()
    assert all(p.requires_grad and p.device.type == "cpu" for p in model.parameters())


def test_loading_and_saving_again_writes_the_same_bytes(folder, tmp_path):
    model, origin, *_ = checkpoint.load(folder)
    checkpoint.save(tmp_path / "again", model, origin)
    assert contents(tmp_path / "again") == contents(folder)


def test_a_folder_holds_two_files_that_others_may_read(folder):
    assert set(contents(folder)) == {"config.json", "model.safetensors"}
    assert folder.stat().st_mode & 0o755 == 0o755


def test_missing_parents_are_made(tiny_model, tmp_path):
    checkpoint.save(tmp_path / "a" / "b", tiny_model, ORIGIN)
    assert checkpoint.load(tmp_path / "a" / "b").origin == ORIGIN


def test_half_precision_becomes_float32(folder):
    edit_tensors(folder, lambda t: t.update({n: v.half() for n, v in t.items() if v.ndim > 1}))
    model = checkpoint.load(folder).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_missing_tensor_is_named(folder):
    edit_tensors(folder, lambda t: t.pop("log_scale"))
    with pytest.raises(InputError, match=r"model.safetensors: .*missing: log_scale$"):
        checkpoint.load(folder)


def test_a_tensor_that_is_left_over_is_named(folder):
    edit_tensors(folder, lambda t: t.update(color=torch.zeros(1)))
    with pytest.raises(InputError, match=r"left over: color$"):
        checkpoint.load(folder)


def test_a_tensor_of_the_wrong_shape_is_named_with_both_shapes(folder):
    edit_tensors(folder, lambda t: t.update(text_encoder_x=t.pop("text_encoder.norm.bias")))
    edit_tensors(
        folder, lambda t: t.update({"text_encoder.norm.bias": t.pop("text_encoder_x")[:5].clone()})
    )
    with pytest.raises(InputError, match=r"text_encoder.norm.bias is \(5,\) instead of \(32,\)"):
        checkpoint.load(folder)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 64, b"\x08" + b"\x00" * 7 + b"{}"])
def test_damaged_weights_are_refused_by_path(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        checkpoint.load(folder)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_weights_that_end_too_early_are_refused(folder, share):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match="is damaged"):
        checkpoint.load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=r"no config.json|no weights at .*model.safetensors"):
        checkpoint.load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"', "{}", '{"model": 3}', "\udcff"])
def test_a_damaged_configuration_is_refused_by_path(folder, text):
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"config\.json"):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v["model"].update(color=1), "model: unknown setting color"),
        (lambda v: v["model"]["image"].update(dim="wide"), "dim is 'wide'"),
        (lambda v: v["model"]["image"].update(num_heads=5), "cannot be shared by 5 heads"),
        (lambda v: v["model"]["image"]["stages"][0].pop("depth"), "depth"),
        (lambda v: v.pop("model"), "model is None"),
        (lambda v: v["origin"].update(color=1), "origin: unknown setting color"),
        (lambda v: v["model"].update(embedding_dim=17), "wrong shape"),
    ],
)
def test_settings_that_do_not_fit_are_refused(folder, change, says):
    edit(folder, change)
    with pytest.raises(InputError, match=says):
        checkpoint.load(folder)


def test_an_existing_folder_is_kept_unless_told_otherwise(folder, tiny_model):
    before = contents(folder)
    with pytest.raises(InputError, match="exists already"):
        checkpoint.save(folder, tiny_model, ORIGIN)
    assert contents(folder) == before


def test_overwriting_replaces_the_whole_folder(folder, tiny_model):
    (folder / "note.txt").write_text("old")
    checkpoint.save(folder, tiny_model, Origin(source="new"), overwrite=True)
    assert checkpoint.load(folder).origin.source == "new"
    assert set(contents(folder)) == {"config.json", "model.safetensors"}


@pytest.mark.parametrize("what", ["file", "folder"])
def test_only_a_model_folder_is_ever_replaced(tmp_path, tiny_model, what):
    precious = tmp_path / "precious"
    if what == "file":
        precious.write_text("a novel")
    else:
        precious.mkdir()
        (precious / "novel.txt").write_text("a novel")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="is no model folder, so it is not replaced"):
        checkpoint.save(precious, tiny_model, Origin(source="a test"), overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_overwriting_a_link_leaves_its_target_alone(folder, tmp_path, tiny_model):
    before = contents(folder)
    (tmp_path / "link").symlink_to(folder)
    checkpoint.save(tmp_path / "link", tiny_model, Origin(source="new"), overwrite=True)
    assert contents(folder) == before
    assert checkpoint.load(tmp_path / "link").origin.source == "new"


def fail(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["save_file", "Path.write_text", "Path.rename"])
def test_a_failing_write_leaves_the_old_folder_whole(folder, tiny_model, monkeypatch, step):
    before = contents(folder)
    monkeypatch.setattr(f"groupvit.weights.checkpoint.{step}", fail)
    monkeypatch.setattr("groupvit.files._exchanged", lambda *_: False)
    with pytest.raises(InputError, match=r"cannot be written: .*No space left"):
        checkpoint.save(folder, tiny_model, ORIGIN, overwrite=True)
    monkeypatch.undo()
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_failing_last_rename_puts_the_old_folder_back(folder, tiny_model, monkeypatch):
    before, rename = contents(folder), checkpoint.Path.rename

    def only_the_old_moves(self, target):
        is_new = self.name.startswith(".") and not self.name.endswith("-old")
        return fail() if is_new else rename(self, target)

    monkeypatch.setattr("groupvit.weights.checkpoint.Path.rename", only_the_old_moves)
    monkeypatch.setattr("groupvit.files._exchanged", lambda *_: False)
    with pytest.raises(InputError, match="cannot be written"):
        checkpoint.save(folder, tiny_model, ORIGIN, overwrite=True)
    monkeypatch.undo()
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, tiny_model, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path / "model", tiny_model, ORIGIN)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["file/model", "file/a/model"])
def test_a_place_below_a_file_is_refused(tmp_path, tiny_model, below):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        checkpoint.save(tmp_path / below, tiny_model, ORIGIN)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_a_model_was_calibrated_to_goes_with_it(tiny_model, tmp_path):
    told = Background(threshold=0.25, thresholds={"dog": -0.5}, certainty="similarity")
    checkpoint.save(tmp_path / "model", tiny_model, ORIGIN, background=told)
    assert checkpoint.load(tmp_path / "model").background == told


def test_a_model_that_was_not_calibrated_says_so(saved_once):
    assert checkpoint.load(saved_once[0]).background is None


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        ({"threshold": 7}, "background threshold is 7"),
        ({"threshold": 0.1, "certainty": "luck"}, "'luck', which is not 'score' or"),
        ({"thresholds": {"dog": "much"}}, "thresholds: dog is 'much'"),
        ({"thresholds": [1]}, "which is not a table"),
    ],
)
def test_a_damaged_calibration_is_named(folder, damaged, told):
    edit(folder, lambda values: values.update(background=damaged))
    with pytest.raises(InputError, match=told):
        checkpoint.load(folder)


def test_words_of_the_training_data_go_with_a_model(tiny_model, tmp_path):
    nouns = {"dog": 7, "caf\u00e9": 3}
    known = Coverage(domain="parks", nouns=nouns, distilled=("tench",))
    checkpoint.save(tmp_path / "model", tiny_model, ORIGIN, coverage=known)
    assert checkpoint.load(tmp_path / "model").coverage == known
    assert checkpoint.read_coverage(tmp_path / "model") == known
    assert set(contents(tmp_path / "model")) == {"config.json", "model.safetensors"}


def test_a_model_without_words_has_an_empty_coverage(saved_once):
    assert checkpoint.load(saved_once[0]).coverage == Coverage()


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        ({"nouns": {"dog": "often"}}, "coverage: nouns: dog is 'often', which is not int"),
        ({"nouns": {"dog": 0}}, "coverage: nouns has dog 0 times"),
        ({"domain": 7}, "coverage: domain is 7"),
        ({"color": 7}, "coverage: unknown setting color"),
        ([], "coverage is \\[\\]; it should be a table"),
    ],
)
def test_damaged_words_are_named(folder, damaged, told):
    edit(folder, lambda values: values.update(coverage=damaged))
    with pytest.raises(InputError, match=told):
        checkpoint.load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(folder, value):
    def change(tensors):
        tensors["text_projector.fc1.weight"][0, 3] = value

    edit_tensors(folder, change)
    sentence = (
        r"model\.safetensors: values .* no numbers in text_projector\.fc1\.weight; the file is"
    )
    with pytest.raises(InputError, match=sentence):
        checkpoint.load(folder)


def test_only_some_of_many_broken_tensors_are_named(folder):
    edit_tensors(
        folder, lambda t: [x.fill_(torch.nan) for x in t.values() if x.is_floating_point()]
    )
    with pytest.raises(InputError, match=r"in \S+, \S+, \S+ and \d+ more; the file is damaged"):
        checkpoint.load(folder)


def test_large_weights_whose_sum_overflows_are_finite():
    checkpoint.check_finite({"one": torch.full((100,), 3e38)}, where="here")
    checkpoint.check_finite({"none": torch.zeros(0), "count": torch.tensor(3)}, where="here")
