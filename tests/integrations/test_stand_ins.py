"""Integrations with stand-ins for the programs they belong to, which are seldom installed."""

import importlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from groupvit import Segmenter
from groupvit.errors import InputError
from groupvit.segmentation.score_map import ScoreMap

IMAGE = "examples/harbour.png"


def stand_in(monkeypatch, name, **values):
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        module = ModuleType(".".join(parts[:end]))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        if end > 1:
            setattr(sys.modules[".".join(parts[: end - 1])], parts[end - 1], module)
    vars(module).update(values)


@pytest.fixture
def predict(monkeypatch):
    """Predictions of the Label Studio backend for some labels and images."""

    class Base:
        def get_local_path(self, path):
            return path

    stand_in(monkeypatch, "label_studio_ml.model", LabelStudioMLBase=Base)
    stand_in(monkeypatch, "label_studio_sdk.converter.brush", mask2rle=lambda mask: mask)
    monkeypatch.delitem(sys.modules, "integrations.label_studio_backend", raising=False)
    module = importlib.import_module("integrations.label_studio_backend")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    model = Segmenter.load("storybook")
    monkeypatch.setattr(module, "segmenter", lambda: model)

    def predict(labels, *images, kind="BrushLabels"):
        backend = module.GroupViTBackend()
        inputs = [{"type": "Image", "value": "$image"}]
        control = {"type": kind, "to_name": ["photo"], "inputs": inputs, "labels": labels}
        backend.parsed_label_config = {"tag": control}
        return backend.predict([{"id": 1, "data": {"image": image}} for image in images])

    yield predict
    sys.modules.pop("integrations.label_studio_backend", None)


def masks(prediction):
    return {one["value"]["brushlabels"][0]: one for one in prediction["result"]}


@pytest.mark.slow
def test_label_studio_gets_the_names_of_its_project_and_scores(predict):
    [prediction] = predict(["boat", "blue  sea", "sky|air", "Background"], IMAGE)
    found = masks(prediction)
    result = Segmenter.load("storybook")(
        IMAGE, ['"boat"', '"blue  sea"', '"sky|air"'], background="auto"
    )
    names = ["Background", "boat", "blue  sea", "sky|air"]
    assert set(found) == {names[index] for index in np.unique(result.label_map)}
    assert len({one["id"] for one in prediction["result"]}) == len(found)
    for name, one in found.items():
        mask = result.label_map == names.index(name)
        np.testing.assert_array_equal(one["value"]["rle"] > 0, mask)
        assert one["score"] == pytest.approx(float(result.scores[names.index(name)][mask].mean()))
    assert 0 < prediction["score"] <= 1


@pytest.mark.slow
def test_label_studio_keeps_other_tasks_where_one_cannot_be_read(predict, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    found = predict(["boat", "sea"], IMAGE, tmp_path / "broken.jpg", tmp_path / "none.jpg", IMAGE)
    assert [bool(one["result"]) for one in found] == [True, False, False, True]


@pytest.mark.slow
def test_label_studio_needs_brush_labels(predict):
    with pytest.raises(InputError, match="has no BrushLabels; add them"):
        predict(["boat"], IMAGE, kind="RectangleLabels")


def test_masks_of_256_labels_have_no_label_0(monkeypatch):
    stand_in(monkeypatch, "fiftyone.core.models", Model=object)
    sys.modules["fiftyone"].Segmentation = object
    monkeypatch.delitem(sys.modules, "integrations.fiftyone_model", raising=False)
    module = importlib.import_module("integrations.fiftyone_model")
    sys.modules.pop("integrations.fiftyone_model")
    for count in (3, 255, 256):
        label_map = np.array([[0, count - 1]], np.uint8)
        result = SimpleNamespace(has_background=False, labels=("a",) * count, label_map=label_map)
        np.testing.assert_array_equal(module._mask_from_one(result), [[1, count]])


def test_planes_are_those_of_the_dense_scores():
    generator = torch.Generator().manual_seed(0)
    table = torch.rand(7, 5, generator=generator)
    regions = torch.randint(7, (6, 9), generator=generator)
    for size in ((6, 9), (40, 61)):
        scores = ScoreMap(regions=regions, table=table, size=size)
        torch.testing.assert_close(torch.stack(list(scores.planes())), scores.dense())
