"""Damaged and hostile files: each is read, or refused in one sentence, in bounded time."""

import contextlib
import io
import json
import os
import random
import resource
import shutil
import struct
import tarfile
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from groupvit import imaging
from groupvit.cli import background, main
from groupvit.config import from_values, load_toml, to_values
from groupvit.data import decoding, index, tar_samples
from groupvit.data.config import DataConfig
from groupvit.data.loader import Shards
from groupvit.errors import InputError
from groupvit.evaluation import compare
from groupvit.evaluation.journal import Journal
from groupvit.files import new_file, new_folder, read_text
from groupvit.image_files import search
from groupvit.model.config import GroupViTConfig, StageConfig
from groupvit.text.label_file import read_lines
from groupvit.text.prompts import parse_labels
from groupvit.training import checkpoints, log
from groupvit.training.config import TrainingConfig
from groupvit.training.run_folder import RunFolder
from groupvit.weights import checkpoint
from groupvit.weights.architecture import infer
from groupvit.weights.pickles import read_tensors
from tests.data.pairs import sample, write_tar
from tests.evaluations import COUNTS, MEASUREMENT, summed_of
from tests.mutations import HOSTILE_VALUES, json_mutations, mutations

SECONDS = 10
"""Longest time for one family of files."""


@pytest.fixture(autouse=True)
def _memory_is_bounded():
    """Allocations of many GB fail instead of filling the machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (7 * 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def refused(read, path, contents, seconds=SECONDS):
    """Number of contents that are refused; each refusal is one short line."""
    messages = []
    begin = time.process_time()
    for content in contents:
        path.write_bytes(content)
        try:
            read(path)
        except (InputError, decoding.DamagedError) as error:
            messages.append(str(error))
    assert time.process_time() - begin < seconds
    assert all(len(message) < 5000 for message in messages)
    return len(messages)


def test_training_settings_are_read_or_refused(tmp_path):
    toml = 'steps = 9\nout = "runs/a"\n[data]\nbatch_size = 4\n[model.image]\ndim = 384\n'
    toml += 'stem = "patches"\n[[model.image.stages]]\ndepth = 6\n[objective]\n[optim]\nlr = 1e-3\n'
    hostile = [toml.replace("9", value, 1).encode() for value in HOSTILE_VALUES]
    hostile += [b"a." * 20_000 + b"a = 1", b"steps = 0x" + b"f" * 5000, b"x = " + b"[" * 50_000]
    hostile += [b"#" * 2**21, b'out = "a\\u0000b"', b"steps = " + b"9" * 5000]
    contents = [*mutations(toml.encode(), 0, 300), *hostile]
    path = tmp_path / "a.toml"
    assert refused(lambda path: load_toml(TrainingConfig, path), path, contents) > 200
    for content in hostile[-6:-3]:
        path.write_bytes(content)
        with pytest.raises(InputError):
            load_toml(TrainingConfig, path)


def test_model_settings_are_read_or_refused(tmp_path):
    text = json.dumps({"format": checkpoint.FORMAT, "model": to_values(GroupViTConfig())})

    def read(path):
        values = checkpoint.read_config(path.parent)
        from_values(GroupViTConfig, values.get("model"), where="config.json")

    assert refused(read, tmp_path / "config.json", json_mutations(text, 1, 500)) > 250


def test_counters_logs_and_runs_are_read_or_refused(tmp_path):
    progress = json.dumps(to_values(checkpoints.Progress(global_batch_size=4, step=3)))
    path = tmp_path / checkpoints.COUNTERS_FILE
    read = lambda path: checkpoints.read_progress(path.parent)  # noqa: E731
    assert refused(read, path, json_mutations(progress, 2, 200)) > 100
    lines = "".join(json.dumps({"step": step, "loss": 0.5}) + "\n" for step in range(5))
    refused(
        lambda path: log.trim(path, 3), tmp_path / "log.jsonl", mutations(lines.encode(), 3, 60)
    )
    for value in HOSTILE_VALUES:
        for line in (value, f'{{"step": {value}}}'):
            (tmp_path / "log.jsonl").write_text(line + "\n")
            log.trim(tmp_path / "log.jsonl", 3)
    run = RunFolder(tmp_path)
    assert refused(lambda _: run.latest(), tmp_path / "latest", mutations(b"step-1", 4, 200)) > 50
    settings = json.dumps({"format": "groupvit-run-2", "settings": to_values(TrainingConfig())})
    contents = json_mutations(settings, 5, 200)
    assert refused(lambda _: run.settings(), tmp_path / "config.json", contents) > 100


def test_the_unreadable_file_of_a_run_is_named(tmp_path):
    (tmp_path / "config.json").mkdir()
    with pytest.raises(InputError, match=r"config\.json cannot be read"):
        RunFolder(tmp_path).settings()
    os.mkfifo(tmp_path / "latest")
    with pytest.raises(InputError, match=r"latest cannot be read .*no regular file"):
        RunFolder(tmp_path).latest()


def test_stored_evaluations_are_read_or_refused(tmp_path):
    names = ("weights", "fingerprint", "benchmark", "protocol", "naming", "dtype")
    values = dict.fromkeys(names, "a") | {"clusters": None, "certainty": "score"}
    values |= {"background_threshold": 0.5, "background_thresholds": {}, "background_words": []}
    values |= {"confusion": [[1, 0], [0, 0]]}
    values |= {"deviations": [], "labels": ["dog", "cat"], "num_images": 3}
    values |= {"scores": {"miou": 0.5, "pixel_accuracy": 0.5, "iou": {"dog": 0.5, "cat": None}}}
    values |= {"boundary": {"miou": 0.5}, "oracles": [{"miou": 0.5}]}
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(values))
    compare.read(path)
    assert refused(compare.read, path, json_mutations(json.dumps(values), 6, 300)) > 100


def test_label_files_are_read_or_refused(tmp_path):
    read = lambda path: parse_labels(list(filter(None, read_lines(path))))  # noqa: E731
    big = [b"a" * 10**7, b"a|b|" * 2_500_000, b"a\n" * 5_000_000, b'"' * 10**7, b", " * 5_000_000]
    big += ["|".join(map(str, range(150_000))).encode(), b"a" * 10**6, b'"' * 10**6]
    big += ["\n".join(map(str, range(150_000))).encode(), b",\t " * 300_000, b'"a"' * 300_000]
    assert refused(read, tmp_path / "labels.txt", big) == len(big)
    text = b'dog|puppy, cat\n"salt, pepper"\nsky\n'
    assert refused(read, tmp_path / "labels.txt", mutations(text, 7, 200)) > 20


def header(name="a.jpg", size=0, kind=b"0", **fields):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    for field, value in fields.items():
        setattr(member, field, value)
    return member.tobuf(tarfile.GNU_FORMAT)


def pax(values, kind=b"x"):
    records = b""
    for name, value in values.items():
        record = f" {name}={value}\n".encode()
        length = len(record) + len(str(len(record) + 3))
        records += str(length).encode() + record
    block = records + bytes(-len(records) % 512)
    return header("pax", len(records), kind) + block


def test_tar_files_are_read_or_refused(tmp_path):
    whole = write_tar(tmp_path / "whole.tar", [part for n in range(4) for part in sample(n)])
    sound = whole.read_bytes()
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a"}
    hostile = [
        pax({"comment": "a"}) * 3000 + sound,
        header("././@LongLink", 5, b"L") + b"a".ljust(512, b"\0") + sound,
        (header("././@LongLink", 5, b"L") + b"a".ljust(512, b"\0")) * 3000 + sound,
        *(header(size=2**40, kind=kind) + sound for kind in (b"0", b"x", b"L", b"S", b"g", b"K")),
        *(header(size=2**62, kind=kind) + sound for kind in (b"0", b"x", b"L")),
        pax({"size": str(2**40)}) + header() + sound,
        pax({"size": "9" * 4000}) + header() + sound,
        pax({"size": "-512"}) + header() + sound,
        pax(sparse) + header(size=512) + b"9999999999\n".ljust(512, b"1") + sound,
        pax(sparse) + header(size=512) + b"1" * 2**20,
        pax(sparse) + header(size=512) + b"99999999\n" + b"0\n" * 2**20,
        header(kind=b"S")[:482] + b"\x01" + bytes(29),
        header("\udcff\udcfe.jpg") + sound,
        header("a" * 90 + "\n\x1b[31m.jpg") + sound,
        header(kind=b"6") + header(kind=b"3") + sound,
    ]
    rng = random.Random(8)
    for _ in range(200):  # numbers of headers, with a checksum that holds
        block = bytearray(sound[:512])
        place = rng.randrange(100, 512)
        block[place : place + 8] = rng.choice(
            (b"\x80" + b"\xff" * 7, b"77777777", rng.randbytes(8))
        )
        total = 256 + sum(block[:148]) + sum(block[156:])
        block[148:156] = f"{total:06o}\0 ".encode()
        hostile.append(bytes(block) + sound[512:])
    refused(tar_samples.read, tmp_path / "a.tar", [*hostile, *mutations(sound, 9, 200)])


def test_indexes_are_rebuilt_or_refused(tmp_path):
    path = write_tar(tmp_path / "a.tar", [part for n in range(4) for part in sample(n)])
    index.prepare([path], "pattern")
    sound = index.index_path(path).read_bytes()

    def read(_):
        (shard,) = index.prepare([path], "pattern")
        reader = Shards([shard]).reader(0)
        assert shard.num_samples == 4
        for number in range(4):
            assert len(reader.captions(number)) == 2
            assert 0 < len(reader.image(number)) <= path.stat().st_size

    (length,) = struct.unpack("<Q", sound[:8])
    contents = [*mutations(sound, 10, 30)]
    for content in mutations(sound[8 + length :], 11, 30):  # the tensors, of the same size
        same = content[: len(sound) - 8 - length].ljust(len(sound) - 8 - length, b"\xff")
        contents.append(sound[: 8 + length] + same)
    assert refused(read, index.index_path(path), contents) == 0


def archive(number, content=b"1234", compress=zipfile.ZIP_STORED):
    """A zip checkpoint whose tensor declares this number of values."""
    file = io.BytesIO()
    torch.save({"model": {"a": torch.zeros(7)}}, file)
    changed = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w", compress) as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("data.pkl"):
                data = data.replace(b"K\x07tq", b"\x8a\x08" + struct.pack("<q", number) + b"tq", 1)
            new.writestr(name, content if name.endswith("data/0") else data)
    return changed.getvalue()


def test_pickles_are_read_or_refused(tmp_path):
    file = io.BytesIO()
    tensors = {"model": {"a": torch.zeros(7)}}
    torch.save(tensors, file, _use_new_zipfile_serialization=False)
    legacy = file.getvalue()
    huge = b"\x8a\x08" + struct.pack("<q", 2**34)
    assert b"K\x07Ntq" in legacy
    expanded = io.BytesIO()
    torch.save({"a": torch.zeros(1).expand(2**20, 2**20)}, expanded)
    hostile = [
        legacy.replace(b"K\x07Ntq", huge + b"Ntq", 1),
        *(archive(number) for number in (2**34, 2**62, -1, 7, 8)),
        archive(7, bytes(2**26), zipfile.ZIP_DEFLATED),
        expanded.getvalue(),
    ]
    path = tmp_path / "a.pth"
    assert refused(read_tensors, path, hostile) == len(hostile)
    refused(read_tensors, path, mutations(legacy, 12, 150))
    refused(read_tensors, path, mutations(archive(7, bytes(28)), 13, 150))


@pytest.mark.parametrize("layer", ["99999999", "9" * 5000, "x", "-1", ""])
def test_impossible_layers_are_refused(layer):
    shapes = {
        "image_encoder.positions.weight": (1, 196, 64),
        "image_encoder.patches.proj.weight": (64, 3, 16, 16),
        "image_encoder.stages.0.blocks.0.mlp.fc1.weight": (64, 64),
    }
    for name in (
        f"image_encoder.stages.{layer}.blocks.0.x",
        f"image_encoder.stages.0.blocks.{layer}.x",
    ):
        tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
        with pytest.raises(InputError, match="is no part of a network") as refusal:
            infer(tensors | {name: torch.empty(1)})
        assert len(str(refusal.value)) < 300


def test_sizes_of_networks_are_bounded():
    for values in (
        {"image": {"stages": [{"depth": 10**7}]}},
        {"image": {"stages": [{"depth": 1}] * 100_000}},
        {"image": {"dim": 2**40, "num_heads": 1}},
        {"image": {"dim": 2**18, "num_heads": 1}},
        {"text": {"depth": 10**7}},
        {"text": {"vocabulary_size": 2**60}},
        {"text": {"mlp_ratio": 1e300}},
        {"projector_dim": 2**62},
    ):
        with pytest.raises(InputError, match="config") as refusal:
            from_values(GroupViTConfig, values, where="config")
        assert len(str(refusal.value)) < 400
    with pytest.raises(ValueError, match="depth is 10000000; it can be 512 at most"):
        StageConfig(depth=10**7)


def test_named_pipes_in_folders_do_not_hang(tmp_path, capsys):
    os.mkfifo(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "a.tar")
    (tmp_path / "b.jpg").write_bytes(b"x")
    assert [image.path.name for image in search([tmp_path]).images] == ["b.jpg"]
    for read in (lambda path: search([path]), tar_samples.read):
        with pytest.raises(InputError, match="no regular file"):
            read(tmp_path / "a.tar")
    assert main(["pairs", str(tmp_path / "a.tar")]) == 2
    assert "no regular file" in capsys.readouterr().err


def test_text_of_pipes_of_the_shell_is_read():
    reading, writing = os.pipe()
    os.write(writing, b"dog\n")
    os.close(writing)
    with contextlib.closing(os.fdopen(reading)):
        assert read_text(Path(f"/dev/fd/{reading}")) == "dog\n"


def test_files_of_long_names_are_written(tmp_path):
    for name in ("a" * 236 + ".txt", "ä" * 125 + ".txt"):
        with new_file(tmp_path / name) as beside:
            assert beside.suffix == ".txt"
            assert len(os.fsencode(beside.name)) <= len(os.fsencode(name))
            beside.write_text("a")
        assert (tmp_path / name).read_text() == "a"
    for _ in range(2):
        with new_folder(tmp_path / ("b" * 250)) as beside:
            (beside / "c").touch()
    assert len(list(tmp_path.iterdir())) == 3
    shutil.rmtree(tmp_path / ("b" * 250))


def test_control_characters_of_names_are_escaped(tmp_path, capsys):
    name = tmp_path / "a\x1b[31m.tar"
    assert main(["pairs", str(name)]) == 2
    error = capsys.readouterr().err
    assert "\x1b" not in error
    assert r"\x1b[31m.tar" in error


def test_line_ends_of_names_are_escaped(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a\nb.jpg").write_bytes(b"no image")
    (tmp_path / "in" / "c\nd.gif").write_bytes(b"GIF")
    assert main(["pairs", str(tmp_path / "a\nb.tar")]) == 2
    options = ["--model=storybook", f"--out={tmp_path / 'out'}", "--labels", "dog"]
    assert main(["segment", str(tmp_path / "in"), *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("groupvit: ") for line in lines] == [True] * 3
    assert [r"a\nb" in line or r"c\nd" in line for line in lines] == [True] * 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment", "LONG", "--model=storybook", "--labels", "dog"],
        ["segment", "examples/harbour.png", "--model=LONG", "--labels", "dog"],
        ["segment", "examples/harbour.png", "--model=storybook", "--labels-file", "LONG"],
        ["evaluate", "LONG", "--model=storybook"],
        ["pairs", "LONG.tar"],
        ["pack", "LONG", "--out", "out"],
        ["info", "LONG"],
    ],
)
def test_names_that_are_too_long_are_one_sentence(arguments, capsys):
    for name in ("a" * 300, "a/" * 3000 + "b"):
        assert main([argument.replace("LONG", name) for argument in arguments]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("groupvit: ")
    with pytest.raises(InputError, match="contains NUL"):
        imaging.read("a\0.jpg")


def test_journals_are_read_or_refused(tmp_path):
    first = json.dumps(MEASUREMENT.to_values() | {"data": "d"})

    def read(path):
        with Journal(path.parent, MEASUREMENT, "d") as journal:
            for one in journal.done:
                summed_of(one)

    with Journal(tmp_path, MEASUREMENT, "d") as journal:
        journal.add(COUNTS)
        path = next(tmp_path.glob("*.jsonl"))
    whole = path.read_bytes()
    assert whole.startswith(first.encode())
    contents = [
        first.encode() + b"\n" + line.replace(b"\n", b"") + b"\n"
        for line in json_mutations(json.dumps(COUNTS.to_values()), 8, 400)
    ]
    assert refused(read, path, [*contents, *mutations(whole, 9, 100)]) > 150


def test_background_files_are_read_or_refused(tmp_path):
    values = {"threshold": 0.5, "thresholds": {"dog": 0.4}, "certainty": "score", "miou": None}
    contents = json_mutations(json.dumps(values), 10, 400)
    assert refused(background.read, tmp_path / "a.json", contents) > 100


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_headers_of_images_are_read_or_refused(tmp_path, kind):
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(file, kind, exif=exif)
    data = file.getvalue()
    rng = random.Random(11)
    contents = list(mutations(data, 12, 100))
    for _ in range(200):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 3))):
            changed[rng.randrange(min(200, len(changed)))] = rng.randrange(256)
        contents.append(bytes(changed))

    def read(path):
        with warnings.catch_warnings(action="ignore", category=imaging.IncompleteImageWarning):
            imaging.read(path)
            imaging.file_orientation(path)
            decoding.decode(path.read_bytes(), DataConfig(), random.Random(0), image_size=16)

    assert refused(read, tmp_path / "a", contents) > 20
