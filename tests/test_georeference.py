"""GeoJSON in the coordinates of a GeoTIFF."""

import json

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from groupvit import Segmenter
from groupvit.formats.georeference import read
from groupvit.formats.polygons import geojson
from groupvit.segmentation.folder import Outputs, segment_files
from tests import lively

UTM = (1, 1, 0, 2, 1025, 0, 1, 1, 3072, 0, 1, 32633)
SCALE, TIE = (0.5, 0.25, 0.0), (0.0, 0.0, 0.0, 400_000.0, 5_000_000.0, 0.0)
DOUBLE, SHORT = 12, 3


def geotiff(path, image, *, keys=UTM, **tags):
    info = ImageFileDirectory_v2()
    for tag, kind, values in (
        (33550, DOUBLE, tags.get("scale", SCALE)),
        (33922, DOUBLE, tags.get("tie", TIE)),
        (34264, DOUBLE, tags.get("matrix")),
        (34735, SHORT, keys),
        (274, SHORT, tags.get("orientation")),
    ):
        if values is not None:
            info.tagtype[tag] = kind
            info[tag] = values
    image.save(path, tiffinfo=info)
    return path


IMAGE = Image.new("RGB", (4, 2))


def test_scale_and_tie_point_give_the_corner_and_the_reference_system(tmp_path):
    found = read(geotiff(tmp_path / "a.tif", IMAGE))
    assert found.matrix == (0.5, 0.0, 400_000.0, 0.0, -0.25, 5_000_000.0)
    assert found.epsg == 32633


def test_pixels_as_points_are_moved_by_half_a_pixel(tmp_path):
    points = (1, 1, 0, 2, 1025, 0, 1, 2, 2048, 0, 1, 4326)
    found = read(geotiff(tmp_path / "a.tif", IMAGE, keys=points))
    assert found.matrix[2] == 400_000 - 0.25
    assert found.matrix[5] == 5_000_000 + 0.125
    assert "crs" not in found.applied(geojson(np.zeros((2, 4), np.uint8), ["a"]))


def test_a_matrix_may_turn_the_image(tmp_path):
    matrix = (0.0, 2.0, 0.0, 10.0, 3.0, 0.0, 0.0, 20.0, *[0.0] * 7, 1.0)
    path = geotiff(tmp_path / "a.tif", IMAGE, scale=None, tie=None, matrix=matrix, keys=None)
    assert read(path) == ((0.0, 2.0, 10.0, 3.0, 0.0, 20.0), None)


def test_outer_rings_stay_counter_clockwise(tmp_path):
    found = read(geotiff(tmp_path / "a.tif", IMAGE))
    moved = found.applied(geojson(np.zeros((2, 4), np.uint8), ["a"]))
    [[ring]] = moved["features"][0]["geometry"]["coordinates"]
    x, y = np.array(ring).T
    area = float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2
    assert area == pytest.approx(2.0 * 0.5, rel=1e-3)
    assert (x.min(), x.max(), y.min(), y.max()) == (400_000, 400_002, 4_999_999.5, 5_000_000)
    assert moved["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"


@pytest.mark.parametrize("tags", [{"scale": None}, {"orientation": 3}, {"tie": (1.0, 2.0)}])
def test_what_is_incomplete_has_no_georeference(tmp_path, tags):
    assert read(geotiff(tmp_path / "a.tif", IMAGE, **tags)) is None


def test_other_files_have_none(tmp_path):
    IMAGE.save(tmp_path / "a.png")
    (tmp_path / "b.tif").write_bytes(b"II*\0nonsense")
    assert [read(tmp_path / name) for name in ("a.png", "b.tif", "missing.tif")] == [None] * 3


def test_files_of_a_segmentation_have_it(tmp_path):
    path = geotiff(tmp_path / "field.tif", Image.fromarray(lively.street(40, 60)))
    outputs = Outputs([path], tmp_path / "out", formats=("geojson",))
    segment_files(Segmenter(lively.lively_model()), outputs, ["dog", "sky"])
    values = json.loads((tmp_path / "out" / "field.geojson").read_text())
    assert values["crs"]["properties"]["name"].endswith("32633")
    for feature in values["features"]:
        for polygon in feature["geometry"]["coordinates"]:
            x, y = np.array(polygon[0]).T
            assert 400_000 <= x.min() < x.max() <= 400_030
            assert 4_999_990 <= y.min() < y.max() <= 5_000_000
