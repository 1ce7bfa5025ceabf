import collections
import os
import pickle
import subprocess
import sys
import types
import typing
import zipfile

import numpy as np
import pytest
import torch

from groupvit.errors import InputError
from groupvit.weights.pickles import read, read_tensors, setting

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(2.5)}


@pytest.fixture
def write(tmp_path):
    """Writes what ``torch.save`` makes of a content."""

    def write_content(content, *, zipped=True, **options):
        path = tmp_path / "model.pth"
        torch.save(content, path, _use_new_zipfile_serialization=zipped, **options)
        return path

    return write_content


@pytest.fixture
def settings(monkeypatch):
    """Settings of a class that is known while they are written, and unknown afterwards."""

    def rebuilt(cls, content):
        return cls(content)

    class DictConfig:
        def __init__(self, content):
            self._content, self._metadata = content, {"ref_type": typing.Any, "object_type": dict}

    module = types.ModuleType("omegaconf.dictconfig")
    for thing in (DictConfig, rebuilt):
        thing.__module__, thing.__qualname__ = module.__name__, thing.__name__
        setattr(module, thing.__name__, thing)
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return DictConfig({"model": DictConfig([1, "two"]), "seed": None})


class Reduced:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def refused_or_read(path):
    """The names that were read; None after a refusal in one sentence; anything else is raised."""
    try:
        return read_tensors(path).keys()
    except InputError as error:
        return None if str(path) in str(error) and "\n" not in str(error) else str(error)


def equal(tensors):
    return tensors.keys() == TENSORS.keys() and all(
        torch.equal(tensors[name], TENSORS[name]) for name in TENSORS
    )


@FORMATS
@pytest.mark.parametrize("kind", [dict, collections.OrderedDict])
def test_tensors_are_read_by_name(write, zipped, kind):
    assert equal(read_tensors(write(kind(TENSORS), zipped=zipped)))


@FORMATS
def test_parameters_views_and_half_precision_are_read(write, zipped):
    whole = torch.arange(12.0)
    content = {"p": torch.nn.Parameter(whole), "v": whole[2:8:2], "h": whole.bfloat16()}
    tensors = read_tensors(write(content, zipped=zipped))
    assert all(torch.equal(tensors[name], content[name]) for name in content)


@FORMATS
def test_a_checkpoint_as_the_original_writes_it_is_read(write, zipped, settings, monkeypatch):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    content = {
        "model": collections.OrderedDict(TENSORS),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": {"base_values": [0.1], "metric": None},
        "epoch": 29,
        "metrics": {"max_accuracy": np.float64(43.7), "max_miou": np.float32(52.3)},
        "amp": {"loss_scaler0": {"loss_scale": 65536.0, "unskipped": 7}},
        "config": settings,
    }
    path = write(content, zipped=zipped)
    monkeypatch.delitem(sys.modules, "omegaconf.dictconfig")
    monkeypatch.delitem(sys.modules, "omegaconf")
    assert equal(read_tensors(path))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)


@FORMATS
def test_things_beside_the_tensors_are_left_out(write, zipped):
    content = TENSORS | {"epoch": 3, "set": {1, 2}, 7: torch.ones(1), "type": complex, "none": None}
    assert equal(read_tensors(write(content, zipped=zipped)))


HOSTILE = {
    "system": (os.system, "touch {}"),
    "popen": (os.popen, "touch {}"),
    "remove": (os.mkdir, "{}"),
    "eval": (eval, "__import__('os').mkdir('{}')"),
    "exec": (exec, "open('{}', 'w')"),
    "open": (open, "{}", "w"),
    "import": (__import__, "this"),
    "getattr": (getattr, os, "system"),
    "subprocess": (subprocess.Popen, ["touch", "{}"]),
    "check_output": (subprocess.check_output, ["touch", "{}"]),
    "torch.load": (torch.load, "{}"),
    "torch.save": (torch.save, 1, "{}"),
    "jit": (torch.jit.load, "{}"),
}
PLACES = {
    "beside the model": lambda thing: {"model": TENSORS, "config": thing},
    "in a list": lambda thing: {"model": TENSORS, "list": [1, (2, {"deep": [thing]})]},
    "among the tensors": lambda thing: TENSORS | {"x": thing},
    "as a key": lambda thing: TENSORS | {thing: 1},
    "alone": lambda thing: thing,
    "as the model": lambda thing: {"model": thing},
    "in a state": lambda thing: {"model": TENSORS, "x": Reduced(Reduced, thing)},
}


@FORMATS
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("call", HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_a_file_names_is_run(write, tmp_path, zipped, place, call):
    trace = tmp_path / "trace"

    def aim(argument):
        if isinstance(argument, list):
            return [aim(one) for one in argument]
        return argument.format(trace) if isinstance(argument, str) else argument

    function, *arguments = call
    if function is getattr:
        arguments = ["os", "system"]
    path = write(place(Reduced(function, *map(aim, arguments))), zipped=zipped)
    assert refused_or_read(path) in (None, TENSORS.keys())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.pth"]


@FORMATS
@pytest.mark.parametrize("function", [eval, subprocess.Popen, torch.load])
def test_tensors_beside_a_call_are_read(write, zipped, function):
    path = write({"model": TENSORS, "config": [Reduced(function, "1")]}, zipped=zipped)
    assert equal(read_tensors(path))


@FORMATS
@pytest.mark.parametrize("function", [os.system, sys.exit])
def test_a_file_that_asks_for_the_system_is_called_hostile(write, zipped, function):
    path = write({"model": TENSORS, "x": Reduced(function, "true")}, zipped=zipped)
    with pytest.raises(InputError, match=r"asks to run .*(system|exit).*nothing of it was run"):
        read_tensors(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@FORMATS
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_newer_pickle_protocols_run_nothing_either(write, tmp_path, zipped, protocol):
    hostile = Reduced(os.mkdir, str(tmp_path / "trace"))
    path = write({"model": TENSORS, "x": hostile}, zipped=zipped, pickle_protocol=protocol)
    with pytest.raises(InputError):
        read_tensors(path)
    assert not (tmp_path / "trace").exists()


def test_a_plain_pickle_runs_nothing_either(tmp_path):
    for protocol in range(6):
        content = pickle.dumps({"x": Reduced(os.mkdir, str(tmp_path / "trace"))}, protocol)
        (tmp_path / "model.pth").write_bytes(content)
        with pytest.raises(InputError):
            read_tensors(tmp_path / "model.pth")
    assert not (tmp_path / "trace").exists()


def test_no_stub_is_allowed_afterwards(write, settings):
    before = torch.serialization.get_safe_globals()
    read_tensors(write({"model": TENSORS, "config": settings}))
    assert set(torch.serialization.get_safe_globals()) == set(before)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80", b"hello, I am no weights\n" * 9, bytes(range(256)) * 4, b"PK\x03\x04", b"\x00"],
    ids=["empty", "byte", "text", "garbage", "zip head", "zero"],
)
def test_what_torch_did_not_write_is_refused(tmp_path, content):
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"damaged or no file that torch.save wrote"):
        read_tensors(tmp_path / "model.pth")


def test_another_zip_file_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pth", "w") as archive:
        archive.writestr("a/data.txt", "hello")
    with pytest.raises(InputError, match="damaged or no file"):
        read_tensors(tmp_path / "model.pth")


@FORMATS
@pytest.mark.parametrize("content", [[], {}, 3, torch.ones(2), {"model": {}}, {"epoch": 3}, None])
def test_a_file_without_named_tensors_is_refused(write, zipped, content):
    with pytest.raises(InputError, match="holds no tensors by name"):
        read_tensors(write(content, zipped=zipped))


@FORMATS
def test_a_file_that_ends_too_early_is_refused(write, zipped):
    path = write(TENSORS, zipped=zipped)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 41):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_tensors(path)


@pytest.mark.filterwarnings("ignore")
@FORMATS
def test_a_file_with_a_wrong_byte_is_read_or_refused(write, zipped):
    path = write(TENSORS, zipped=zipped)
    whole = path.read_bytes()
    for position in range(0, len(whole), 17):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        assert not isinstance(refused_or_read(path), str)


@FORMATS
def test_settings_are_read_from_stubs(write, settings, zipped, monkeypatch):
    path = write({"model": TENSORS, "config": settings}, zipped=zipped)
    for name in ("omegaconf", "omegaconf.dictconfig"):
        monkeypatch.delitem(sys.modules, name)
    found = read(path).settings
    assert setting(found, "model") == [1, "two"]
    assert setting(found, "seed") is None
    assert setting(found, "model", "img_encoder", "num_heads") is None
