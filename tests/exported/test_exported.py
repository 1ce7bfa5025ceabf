"""An exported model finds what the model finds that it was made of."""

import copy
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves

from groupvit.cli import main
from groupvit.errors import InputError
from groupvit.evaluation.measurement import fingerprint
from groupvit.exported import graphs, writing
from groupvit.exported.network import ExportedNetwork
from groupvit.segmentation import loading
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.tokenizer import Tokenizer
from groupvit.weights import catalogue

IMAGE = "examples/harbour.png"
LABELS = ["boat", "sea", "sky", "house"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    return catalogue.load("storybook").model


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_pixels_go_to_the_same_words(folder):
    found = Segmenter.load(folder, runtime="onnxruntime")(IMAGE, LABELS)
    wanted = Segmenter.load("storybook")(IMAGE, LABELS)
    assert len(np.unique(wanted.label_map)) > 1
    assert (found.label_map == wanted.label_map).mean() > 0.9999


def test_parts_have_the_same_labels(folder):
    protocol = replace(OURS, naming="parts", other_sides=(128,), scale=20.0)
    found, wanted = (
        Segmenter.load(name, protocol=protocol, runtime=runtime)(IMAGE, LABELS)
        for name, runtime in ((folder, "onnxruntime"), ("storybook", "torch"))
    )
    assert found.groups.windows[0].naming_grids == wanted.groups.windows[0].naming_grids
    assert (found.label_map == wanted.label_map).mean() > 0.9999


@pytest.mark.parametrize("shape", [(1, 3, 80, 80), (3, 3, 80, 80), (2, 3, 44, 120), (1, 3, 41, 62)])
def test_images_of_any_size_are_embedded_alike(folder, model, shape):
    network = ExportedNetwork(folder)
    with torch.inference_mode():
        wanted = model.embed_image(normal(*shape))
    found = network.embed_image(normal(*shape))
    for one, other in zip(tree_leaves(found[:3]), tree_leaves(wanted[:3]), strict=True):
        assert_close(one, other, atol=1e-4, rtol=0)
    for one, other in zip(found.assignments, wanted.assignments, strict=True):
        assert_close(one, other, atol=1e-3, rtol=0)
    last = network.embed_image(normal(*shape), num_stages=1)
    assert len(last.segments) == 1
    assert_close(last.segments[0], found.segments[-1])


def test_texts_of_any_length_are_embedded_alike(folder, model):
    tokenize = Tokenizer(model.config.text.vocabulary_size)
    for texts in (["sea"], ["an image of a boat beside a house", "sky", "a tree"]):
        tokens = tokenize(texts, context_length=model.config.text.context_length)
        with torch.inference_mode():
            wanted = model.encode_text(tokens)
        found = ExportedNetwork(folder).encode_text(tokens)
        assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_temperature_and_background_come_along(folder, model):
    network = ExportedNetwork(folder)
    assert_close(network.logit_scale, model.logit_scale.detach())
    parts = normal(4, model.config.embedding_dim)
    with torch.inference_mode():
        assert_close(network.background_layer(parts), model.background_layer(parts))
    loaded, exported = catalogue.load("storybook"), Segmenter.load(folder)
    assert (exported.calibrated, exported.coverage) == (loaded.background, loaded.coverage)
    assert exported.unknown_words(["zeppelin", "boats"]).keys() == {"zeppelin"}


def test_whole_numbers_are_smaller_and_near(exports, folder, model):
    small = exports / "int8"
    for name in ("image.onnx", "text.onnx"):
        assert (small / name).stat().st_size < 0.6 * (folder / name).stat().st_size
    with torch.inference_mode():
        wanted = model.embed_image(normal(2, 3, 80, 80)).image
    found = ExportedNetwork(small).embed_image(normal(2, 3, 80, 80)).image
    cosines = (found * wanted).sum(dim=1)
    assert 0.9 < cosines.min() < 0.999999
    assert "mIoU on 4 drawn scenes" in (exports / "int8.out").read_text()


def test_it_says_how_far_it_is_from_pytorch(exports):
    said, complained = ((exports / f"exact.{end}").read_text() for end in ("out", "err"))
    assert "image.onnx" in said
    assert "1.00000" in said
    assert "mIoU on 2 drawn scenes" in said
    assert "Warning" not in complained
    assert "torchvision" not in complained


def test_the_tokenizer_beside_it_reads_as_ours(folder, model):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    ours = Tokenizer(model.config.text.vocabulary_size)
    for text in ("a photo of a boat", "Zürich, 3 sailing-boats!", "antidisestablishmentarianism"):
        assert (
            theirs(text)["input_ids"]
            == ours([text], context_length=77)[0, : len(theirs(text)["input_ids"])].tolist()
        )


def test_its_labels_are_asked_for_where_nobody_names_any(folder, tmp_path, capsys):
    assert main(["segment", IMAGE, "--model", str(folder), "--out", str(tmp_path)]) == 0
    assert {"boat", "sea", "sky"} <= set(capsys.readouterr().out.split())


def test_it_is_evaluated(folder, capsys):
    command = ["evaluate", "storybook", "--scenes", "2", "--model", str(folder)]
    assert main(command) == 0
    assert "mIoU" in capsys.readouterr().out
    assert fingerprint(ExportedNetwork(folder)) != fingerprint(catalogue.load("storybook").model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "meta"], "runs on the CPU"),
        (["--dtype", "bfloat16", "--runtime", "onnxruntime"], "--runtime openvino"),
        (["--runtime", "torch"], "which PyTorch cannot run"),
    ],
)
def test_what_it_cannot_do_is_told(folder, options, message, tmp_path, capsys):
    command = ["segment", IMAGE, "--model", str(folder), "--out", str(tmp_path), *options]
    assert main(command) == 2
    assert message in capsys.readouterr().err


def test_a_model_of_torch_has_no_graph_for_onnxruntime():
    with pytest.raises(InputError, match="is no exported model"):
        Segmenter.load("storybook", runtime="onnxruntime")
    with pytest.raises(InputError, match="known are auto, torch"):
        Segmenter.load("storybook", runtime="onnx")


def test_the_runtime_of_an_export_is_chosen(folder, exports, monkeypatch):
    chosen = []

    class StoppedError(Exception):
        pass

    def network(_folder, *, runtime, dtype):
        chosen.append((runtime, dtype))
        raise StoppedError

    monkeypatch.setattr(loading, "ExportedNetwork", network)
    for name in (folder, exports / "int8"):
        with pytest.raises(StoppedError):
            Segmenter.load(name)
    monkeypatch.setattr(loading, "has_openvino", lambda: False)
    with pytest.raises(StoppedError):
        Segmenter.load(folder)
    runtimes = [runtime for runtime, _ in chosen]
    assert runtimes == ["openvino", "onnxruntime", "onnxruntime"]


def test_it_is_no_model_to_convert_or_train(folder, tmp_path, capsys):
    assert main(["convert", str(folder), str(tmp_path / "x")]) == 2
    assert "is an exported model" in capsys.readouterr().err
    with pytest.raises(InputError, match="needs a model in PyTorch"):
        _ = Segmenter.load(folder).model


def test_damage_is_told(folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "image.onnx").write_bytes(b"no graph at all")
    with pytest.raises(InputError, match="damaged or no ONNX file"):
        Segmenter.load(broken)
    (broken / "image.onnx").unlink()
    with pytest.raises(InputError, match="is missing"):
        Segmenter.load(broken)


def test_what_computes_something_else_is_not_written(folder, tmp_path, monkeypatch):
    def copied(beside, _model, _precision):
        for name in ("image.onnx", "text.onnx"):
            shutil.copy(folder / name, beside)

    monkeypatch.setattr(graphs, "write", copied)
    loaded = catalogue.load("storybook")
    writing.write(tmp_path / "same", loaded)
    other = copy.deepcopy(loaded.model)
    with torch.no_grad():
        for parameter in other.image_projector.parameters():
            parameter.add_(torch.randn_like(parameter))
    with pytest.raises(InputError, match="nothing was written"):
        writing.write(tmp_path / "other", loaded._replace(model=other))
    assert not (tmp_path / "other").exists()
    assert len(list(tmp_path.iterdir())) == 1


def test_nothing_is_replaced_unasked(folder, capsys):
    assert main(["export", "storybook", str(folder)]) == 2
    assert "exists already" in capsys.readouterr().err
