"""What people get wrong is answered by one sentence, exit code 2, and nothing written."""

import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from tests.lively import size_of, street


def chunk(name, data):
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def bomb(path):
    """A PNG of 60,000 x 60,000 pixels in a few bytes."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


@pytest.fixture
def mistake(run, model, photos, tmp_path):
    """Runs a command that must be refused; gives its one sentence."""

    def mistake(*arguments, labels=("dog", "cat"), options=()):
        labels = ("--labels", *labels) if labels else ()
        arguments = arguments or (photos / "dog.jpg",)
        if "--model" not in options:
            options = ("--model", model, *options)
        if "--out" not in options:
            options = ("--out", tmp_path / "out", *options)
        code, _, complaint = run("segment", *arguments, *labels, *options)
        assert code == 2
        assert complaint.startswith("groupvit: ")
        assert complaint.count("\n") == 1
        assert "Traceback" not in complaint
        assert not list((tmp_path / "out").rglob("*.png"))
        return complaint

    return mistake


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ((), "labels is empty; give at least one word"),
        (("dog", "dog"), "the label 'dog' is given twice"),
        (("dog", " "), "empty"),
        (("dog||hound",), "empty"),
        (("dog", "background"), "background"),
        (("dog " * 80,), "more than the 77 that the text encoder reads"),
    ],
)
def test_labels(mistake, labels, expected):
    assert expected in mistake(labels=labels)


def test_missing_file(mistake, photos):
    assert "dgo.jpg" in mistake(photos / "dgo.jpg")


def test_no_file(run, model):
    code, _, complaint = run("segment", "--labels", "dog", "--model", model)
    assert code == 2
    assert "no images given" in complaint


def test_empty_folder(mistake, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no images in" in mistake(tmp_path / "empty")


def test_pattern_without_match(mistake, photos):
    assert "no images match" in mistake(f"{photos}/*.webp")


def test_text_file_named_jpg(mistake, photos):
    (photos / "letter.jpg").write_text("Dear reader,")
    assert "letter.jpg is not a JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF image" in mistake(
        photos / "letter.jpg"
    )


def test_truncated_jpeg(mistake, photos):
    whole = (photos / "dog.jpg").read_bytes()
    (photos / "half.jpg").write_bytes(whole[: len(whole) // 2])
    assert "half.jpg is damaged" in mistake(photos / "half.jpg")


def test_decompression_bomb(mistake, photos):
    bomb(photos / "bomb.png")
    assert "3,600,000,000 pixels" in mistake(photos / "bomb.png")


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_tiny_and_thin_images_are_no_mistake(run, model, tmp_path, size):
    Image.fromarray(street(*size)).save(tmp_path / "odd.png")
    out = tmp_path / "out"
    code, _, complaint = run(
        "segment", tmp_path / "odd.png", "--labels", "dog", "cat", "--model", model, "--out", out
    )
    assert (code, complaint) == (0, "")
    assert size_of(out / "odd.png") == size[::-1]


@pytest.fixture
def damaged(model, tmp_path):
    """A copy of the model's folder whose tensors can be changed."""
    folder = tmp_path / "damaged"
    shutil.copytree(model, folder)

    def change(edit):
        tensors = dict(load_file(folder / "model.safetensors"))
        edit(tensors)
        save_file(tensors, folder / "model.safetensors")
        return folder

    return change


def test_checkpoint_with_a_tensor_missing(mistake, damaged):
    folder = damaged(lambda tensors: tensors.pop("log_scale"))
    assert "missing: log_scale" in mistake(options=("--model", folder))


def test_checkpoint_with_a_tensor_too_many(mistake, damaged):
    folder = damaged(lambda tensors: tensors.update(extra=np.zeros(1)))
    assert "left over: extra" in mistake(options=("--model", folder))


def test_checkpoint_with_a_wrong_shape(mistake, damaged):
    folder = damaged(lambda tensors: tensors.update(log_scale=np.zeros(3, np.float32)))
    assert "log_scale is (3,) instead of ()" in mistake(options=("--model", folder))


def test_unknown_model(mistake):
    complaint = mistake(options=("--model", "groupvit-large"))
    assert (
        "there is no model 'groupvit-large'; give a bundled name (photos, storybook, random)"
        in complaint
    )


def test_unwritable_folder(mistake, photos):
    out = photos / "dog.jpg" / "out"
    assert "cannot be written" in mistake(options=("--out", out))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--device", "abacus"), "the device 'abacus' cannot be used here"),
        (("--templates", "poems"), "poems"),
        (("--background", "7"), "give a number from -1 to 1"),
        (("--background-thresholds", "dog"), "write label=number"),
        (("--background-thresholds", "cow=0.3"), "'cow', which is no label"),
        (("--window", "0"), "window is 0"),
        (("--stride", "500", "--window", "100"), "stride 500 is larger than window 100"),
        (("--stride", "100"), "--stride is 100, the step between windows, but there are none"),
        (("--top-labels", "0"), "top_labels is 0"),
        (("--batch-size", "0"), "batch_size is 0"),
        (("--labels-file", "words.txt"), "both --labels and --labels-file"),
        (("--revision", "v2"), "is not on the hub"),
    ],
)
def test_options(mistake, options, expected):
    assert expected in mistake(options=options)


def test_a_wrong_choice_is_refused_by_the_parser(run, photos, model):
    with pytest.raises(SystemExit) as stop:
        run("segment", photos, "--labels", "dog", "--model", model, "--protocol", "theirs")
    assert stop.value.code == 2


def test_under_torchrun_every_process_says_who_it_is(run, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "3")
    code, _, complaint = run("evaluate", tmp_path / "none", "--model", "random")
    assert code == 2
    assert complaint.startswith("groupvit, rank 3: ")
