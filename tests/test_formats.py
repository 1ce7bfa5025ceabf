"""Label maps that other programs read back as they were."""

import io
import itertools
import json
from contextlib import redirect_stdout
from copy import deepcopy

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from groupvit.errors import InputError
from groupvit.formats.coco import CocoDataset, coco_annotations
from groupvit.formats.index_png import index_png
from groupvit.formats.polygons import geojson
from groupvit.palette import colors

RANDOM = [(seed, 1 + seed % 13, 1 + seed * 7 % 17, 1 + seed % 5) for seed in range(60)]
HOLES = np.kron(
    np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [1, 1, 0, 1, 1], [2, 1, 1, 1, 2]]), np.ones((2, 3))
).astype(np.uint8)


def random_map(seed, height, width, count):
    return np.random.default_rng(seed).integers(0, count, (height, width)).astype(np.uint8)


def ragged_map():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:150, :200] + rng.integers(0, 6, (2, 150, 200))
    return (y // 40 * 6 + x // 40).astype(np.uint8)


def words(count):
    return [f"word {index}" for index in range(count)]


def area(ring):
    (x, y), (next_x, next_y) = np.array(ring[:-1]).T, np.array(ring[1:]).T
    return int((x * next_y - next_x * y).sum()) / 2


def polygons(collection):
    for feature in collection["features"]:
        for polygon in feature["geometry"]["coordinates"]:
            yield feature["properties"]["label_index"], polygon


def fill(polygon, shape):
    """Give the pixels inside: those with an odd count of upright edges to their left."""
    crossings = np.zeros((shape[0], shape[1] + 1), np.uint8)
    for ring in polygon:
        for (x, y), (next_x, next_y) in itertools.pairwise(ring):
            if x == next_x:
                crossings[min(y, next_y) : max(y, next_y), x] ^= 1
    return np.bitwise_xor.accumulate(crossings, axis=1)[:, :-1].astype(bool)


def repaint(collection, shape):
    result = np.full(shape, 255, np.uint8)
    for index, polygon in polygons(collection):
        inside = fill(polygon, shape)
        assert (result[inside] == 255).all()
        result[inside] = index
    return result


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("count", "mode"), [(3, "P"), (256, "P"), (257, "I;16"), (1000, "I;16")])
def test_an_index_png_gives_the_map_back(tmp_path, count, mode, dtype):
    label_map = np.arange(120).reshape(10, 12).astype(dtype) % min(count, 100)
    index_png(label_map, colors(count, background=True)).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == mode
        assert np.array_equal(np.asarray(image), label_map)


def test_an_index_png_shows_the_colors_of_its_labels():
    label_map = random_map(0, 5, 6, 4)
    table = colors(4, background=False)
    shown = np.asarray(index_png(label_map, table).convert("RGB"))
    assert np.array_equal(shown, table[label_map])


@pytest.mark.parametrize("case", RANDOM)
def test_polygons_filled_in_give_the_map_back(case):
    label_map = random_map(*case)
    assert np.array_equal(repaint(geojson(label_map, words(5)), label_map.shape), label_map)


@pytest.mark.parametrize("case", RANDOM[:20])
def test_outer_rings_less_their_holes_cover_the_counted_pixels(case):
    label_map = random_map(*case)
    collection = geojson(label_map, words(5))
    for feature in collection["features"]:
        rings = [ring for polygon in feature["geometry"]["coordinates"] for ring in polygon]
        pixels = (label_map == feature["properties"]["label_index"]).sum()
        assert sum(area(ring) for ring in rings) == pixels == feature["properties"]["pixels"]


@pytest.mark.parametrize("case", RANDOM[:20])
def test_outer_rings_and_holes_turn_as_the_standard_asks(case):
    for _, (outer, *holes) in polygons(geojson(random_map(*case), words(5))):
        assert area(outer) > 0
        assert all(area(hole) < 0 for hole in holes)


@pytest.mark.parametrize("case", RANDOM[:20])
def test_rings_are_closed_and_turn_at_every_point_and_never_touch_themselves(case):
    for _, polygon in polygons(geojson(random_map(*case), words(5))):
        for ring in polygon:
            assert ring[0] == ring[-1]
            assert len({tuple(point) for point in ring}) == len(ring) - 1
            steps = np.sign(np.diff([*ring, ring[1]], axis=0))
            assert (np.abs(steps).sum(axis=1) == 1).all()
            assert (np.abs(steps[1:]) != np.abs(steps[:-1])).all()


def test_a_square_is_named_by_its_four_corners():
    label_map = np.zeros((5, 6), np.uint8)
    label_map[1:3, 2:5] = 1
    features = geojson(label_map, ["background", "kite"])["features"]
    assert features == [
        {
            "type": "Feature",
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [[[[2, 1], [5, 1], [5, 3], [2, 3], [2, 1]]]],
            },
            "properties": {
                "label": "kite",
                "label_index": 1,
                "pixels": 6,
                "name": "kite",
                "classification": {"name": "kite"},
            },
        }
    ]


def test_regions_that_touch_at_a_corner_are_apart():
    found = list(polygons(geojson(np.eye(2, dtype=np.uint8), words(2))))
    assert [len(polygon) for _, polygon in found] == [1, 1, 1, 1]


def test_a_region_carries_its_own_holes():
    found = list(polygons(geojson(HOLES, words(3))))
    assert sorted((index, len(polygon)) for index, polygon in found) == [
        (0, 1),
        (0, 1),
        (0, 1),
        (1, 4),
        (2, 1),
        (2, 1),
    ]


@pytest.mark.parametrize(("background", "indices"), [(False, [1, 2]), (True, [0, 1, 2])])
def test_polygons_of_the_background_are_written_where_asked(background, indices):
    features = geojson(HOLES, ["background", "a", "b"], background=background)["features"]
    assert [feature["properties"]["label_index"] for feature in features] == indices


def test_ragged_polygons_of_a_whole_image_give_the_map_back():
    label_map = ragged_map()
    collection = geojson(label_map, words(256))
    assert np.array_equal(repaint(collection, label_map.shape), label_map)
    json.dumps(collection)


# pycocotools 2.0.11 does not know numpy's newer way of asking for an array.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_reads_the_masks_and_boxes_back():
    labels = ["background", *words(4)]
    maps = [random_map(3, 9, 7, 5), HOLES, np.zeros((4, 4), np.uint8)]
    dataset = CocoDataset(labels)
    for number, label_map in enumerate(maps):
        dataset.add(f"{number}.jpg", label_map)
    reader = COCO()
    reader.dataset = json.loads(json.dumps(dataset.to_values()))
    with redirect_stdout(io.StringIO()):
        reader.createIndex()
        reader.info()
        assert reader.loadRes(deepcopy(reader.dataset["annotations"])).dataset["info"]
    for image_id, label_map in enumerate(maps, start=1):
        annotations = reader.loadAnns(reader.getAnnIds(imgIds=[image_id]))
        repainted = np.zeros_like(label_map)
        for annotation in annotations:
            mask = reader.annToMask(annotation).astype(bool)
            repainted[mask] = labels.index(reader.cats[annotation["category_id"]]["name"])
            left, top, width, height = annotation["bbox"]
            box = np.zeros_like(mask)
            box[top : top + height, left : left + width] = True
            assert mask.sum() == annotation["area"]
            assert not (mask & ~box).any()
            assert mask[top].any()
            assert mask[top + height - 1].any()
            assert mask[:, left].any()
            assert mask[:, left + width - 1].any()
        assert np.array_equal(repainted, label_map)


@pytest.mark.parametrize(
    ("labels", "categories"), [(["background", "a", "b"], [1, 2]), (["c", "a", "b"], [1, 2, 3])]
)
def test_categories_count_from_one_without_the_background(labels, categories):
    annotations = coco_annotations(HOLES, labels, image_id=7, first_id=10)
    assert [annotation["category_id"] for annotation in annotations] == categories
    assert [annotation["id"] for annotation in annotations] == [
        10 + number for number in range(len(categories))
    ]
    assert {annotation["image_id"] for annotation in annotations} == {7}


def test_a_data_set_numbers_its_annotations_throughout():
    dataset = CocoDataset(words(3))
    dataset.add("a.jpg", HOLES)
    dataset.add("b.jpg", HOLES)
    data = dataset.to_values()
    assert [annotation["id"] for annotation in data["annotations"]] == [1, 2, 3, 4, 5, 6]
    assert data["images"][1] == {"id": 2, "file_name": "b.jpg", "width": 15, "height": 8}


@pytest.mark.parametrize(
    "write",
    [
        lambda label_map: geojson(label_map, words(2)),
        lambda label_map: coco_annotations(label_map, words(2), image_id=1),
        lambda label_map: index_png(label_map, colors(2, background=False)),
    ],
)
def test_an_index_without_a_label_is_refused(write):
    with pytest.raises(InputError, match="holds the index 2 but there are 2 labels"):
        write(HOLES)
    with pytest.raises(InputError, match="is empty"):
        write(np.zeros((0, 3), np.uint8))
