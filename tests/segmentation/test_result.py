import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from groupvit import Background, InputError, Segmenter
from groupvit.segmentation.protocol import GROUPVIT

LABELS = ["dog", "cat", "grass", "sky"]


@pytest.fixture
def result(lively_model, street):
    background = Background(threshold=0.4)
    return Segmenter(lively_model)(street(40, 60), LABELS, background=background)


def test_it_says_what_it_is(result):
    assert repr(result) == "Segmentation(40x60, 5 labels, 5 groups)"
    assert str(result).startswith(repr(result))
    assert "%" in str(result)


def test_a_notebook_shows_the_overlay(result):
    shown = Image.open(io.BytesIO(result._repr_png_()))
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(result.to_overlay()))


def test_the_shares_of_the_labels_sum_to_one(result):
    assert sum(result.shares().values()) == pytest.approx(1)
    assert tuple(result.shares()) == result.labels


def test_every_group_took_the_label_of_its_pixels(result):
    groups, names = result.group_map(), result.group_labels()
    labels = np.array(result.labels)[result.label_map]
    assert (np.array(names)[groups] == labels).mean() > 0.9
    assert len(names) == 5


def test_groups_of_the_first_stage_take_labels_by_way_of_the_last(result):
    assert len(result.group_labels(0)) == 12
    assert set(result.group_labels(0)) <= set(result.group_labels())


def test_groups_of_several_windows_are_named_window_by_window(lively_model, street):
    protocol = replace(GROUPVIT, short_side=32, window=32, stride=16)
    result = Segmenter(lively_model, protocol=protocol)(street(40, 80), LABELS)
    assert len(result.group_labels()) == 3 * 5
    assert result.group_map().max() < 3 * 5


def test_masks_cover_the_image_without_overlap(result):
    masks = result.masks
    assert tuple(masks) == result.labels
    assert (sum(mask.astype(int) for mask in masks.values()) == 1).all()
    assert masks["dog"].sum() == (result.label_map == result.labels.index("dog")).sum()


def test_it_is_shown_in_the_viewer_of_the_machine(result, monkeypatch):
    shown = []
    monkeypatch.setattr(Image.Image, "show", lambda image: shown.append(image))
    result.show()
    np.testing.assert_array_equal(np.asarray(shown[0]), np.asarray(result.to_overlay()))


def test_the_index_image_holds_the_label_map(result, tmp_path):
    result.save(tmp_path / "dog.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "dog.png")), result.label_map)


def test_the_soft_scores_are_saved(result, tmp_path):
    result.save(tmp_path / "dog.npz")
    saved = np.load(tmp_path / "dog.npz", allow_pickle=False)
    assert np.allclose(saved["scores"], result.scores, atol=1e-3)
    assert np.array_equal(saved["label_map"], result.label_map)
    assert saved["labels"].tolist() == list(result.labels)


@pytest.mark.parametrize(
    ("name", "key"), [("dog.json", "annotations"), ("dog.geojson", "features")]
)
def test_json_files_are_written(result, tmp_path, name, key):
    result.save(tmp_path / name)
    assert len(json.loads((tmp_path / name).read_text())[key]) == len(
        np.unique(result.label_map)
    ) - (0 in result.label_map)


def test_an_unknown_suffix_is_refused(result, tmp_path):
    with pytest.raises(InputError, match=r"known are \.png, \.json, \.geojson and \.npz"):
        result.save(tmp_path / "dog.tiff")


def test_the_overlay_and_the_groups_can_be_looked_at(result):
    assert result.to_overlay().mode == "RGB"
    assert result.to_groups_image().mode == "RGB"
