"""Images of segmentations: what they show, for images of every size and names of every kind."""

import itertools

import numpy as np
import pytest
from PIL import Image, ImageFont

from groupvit.errors import InputError
from groupvit.palette import colors
from groupvit.visualization import fonts, groups, highlight, overlay, side_by_side
from groupvit.visualization.lettering import printable
from groupvit.visualization.names import place_names

SIZES = [(1, 1), (1, 500), (500, 1), (2, 3), (64, 48), (240, 320), (700, 500)]


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def cells(height, width, count=6, seed=0):
    """Give regions around random points."""
    points = np.random.default_rng(seed).random((count, 2)) * (height, width)
    y, x = np.mgrid[:height, :width]
    away = (y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2
    return away.argmin(axis=-1).astype(np.uint8)


def words(count):
    return ["background", *(f"word {index}" for index in range(1, count))]


def draw(height=240, width=320, *, labels=None, **settings):
    labels = labels or words(6)
    table = colors(len(labels), background=labels[0] == "background")
    label_map = cells(height, width, len(labels))
    return overlay(noise(height, width), label_map, labels, table, **settings)


@pytest.mark.parametrize("size", SIZES)
def test_a_image_of_any_size_is_drawn_large_enough_to_see(size):
    result = draw(*size, legend=False)
    factor = result.width // size[1]
    assert result.size == (size[1] * factor, size[0] * factor)
    assert max(result.size) >= 240


def test_a_large_image_keeps_its_size():
    assert draw(500, 700, legend=False).size == (700, 500)


@pytest.mark.parametrize("size", SIZES)
def test_the_legend_is_beneath_and_covers_nothing(size):
    bare, whole = draw(*size, legend=False), draw(*size)
    left = (whole.width - bare.width) // 2
    assert whole.height > bare.height
    upper = whole.crop((left, 0, left + bare.width, bare.height))
    assert np.array_equal(np.asarray(upper), np.asarray(bare))


def test_the_legend_grows_with_what_it_lists():
    few, many = draw(labels=words(3)), draw(labels=words(20))
    assert many.height > few.height
    assert many.width == few.width


def test_the_legend_lists_only_what_occurs():
    one = np.zeros((240, 320), np.uint8)
    table = colors(30, background=False)
    results = [overlay(noise(240, 320), one, words(n)[1:], table) for n in (2, 30)]
    assert np.array_equal(*map(np.asarray, results))


def test_no_opacity_leaves_the_image_and_full_opacity_only_the_color():
    image, one = noise(240, 320), np.zeros((240, 320), np.uint8)
    table = np.array([[10, 20, 30]], np.uint8)
    clear = np.asarray(overlay(image, one, ["sky"], table, opacity=0.0, legend=False))
    solid = np.asarray(overlay(image, one, ["sky"], table, opacity=1.0, legend=False))
    assert np.array_equal(clear[:60], image[:60])
    assert (solid[:60] == table[0]).all()


def test_the_background_is_darkened_and_bears_no_name():
    image, one = np.full((240, 320, 3), 200, np.uint8), np.zeros((240, 320), np.uint8)
    table = colors(2, background=True)
    result = np.asarray(overlay(image, one, ["background", "dog"], table, legend=False))
    assert len(np.unique(result.reshape(-1, 3), axis=0)) == 1
    assert 100 < result.max() < 200


def test_borders_are_drawn_where_labels_meet_and_nowhere_else():
    image, halves = np.full((240, 320, 3), 100, np.uint8), np.zeros((240, 320), np.uint8)
    halves[:, 160:] = 1
    result = np.asarray(groups(image, halves)).astype(int)
    changed = (result != 100).any(axis=(0, 2))
    assert changed[160]
    assert not changed[:155].any()
    assert not changed[165:].any()


@pytest.mark.parametrize("seed", range(8))
def test_names_lie_in_their_regions_and_do_not_overlap(seed):
    label_map = cells(300, 400, 12, seed)
    names = list(place_names(label_map, words(12), 12, background=False))
    assert names
    for name in names:
        left, top, right, bottom = name.box
        assert 0 <= left < right <= 400
        assert 0 <= top < bottom <= 300
        assert (label_map[top:bottom, left:right] == name.label).mean() > 0.6
    for one, other in itertools.combinations(names, 2):
        a, b = one.box, other.box
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_every_large_region_of_a_label_bears_its_name():
    label_map = np.zeros((300, 400), np.uint8)
    label_map[50:150, 30:130] = label_map[150:250, 230:330] = 1
    names = list(place_names(label_map, words(2), 12, background=True))
    centers = sorted(((n.box[0] + n.box[2]) // 2, (n.box[1] + n.box[3]) // 2) for n in names)
    assert [name.text for name in names] == ["word 1", "word 1"]
    assert np.abs(np.array(centers) - [(80, 100), (280, 200)]).max() < 8


def test_a_small_region_bears_no_name():
    label_map = np.zeros((300, 400), np.uint8)
    label_map[100:104, 100:104] = 1
    assert not list(place_names(label_map, words(2), 12, background=True))


def test_a_long_name_is_cut_with_an_ellipsis():
    (name,) = place_names(np.zeros((300, 400), np.uint8), ["long " * 50], 12, background=False)
    assert name.text.endswith("…")
    assert name.box[2] - name.box[0] < 250


@pytest.mark.parametrize(
    "label",
    [
        "",
        " ",
        "猫",
        "🐈‍⬛",
        "é à ü",
        "a\nb\tc",
        "\x00",
        "\ud800",
        "x" * 3000,
        "y " * 3000,
        "كلب",
        "%s{}",
    ],
)
@pytest.mark.filterwarnings("ignore::groupvit.visualization.fonts.MissingGlyphWarning")
def test_every_label_can_be_drawn(label):
    result = draw(labels=["background", label, "dog"])
    assert result.width == 320
    assert side_by_side([(label, result)], columns=1).width > 320


@pytest.mark.parametrize("text", ["Собака", "σκύλος", "é à ü"])
def test_other_scripts_are_drawn_in_a_font_that_has_them(text):
    pytest.importorskip("matplotlib", reason="no font of it is at hand")
    assert printable(text) == text
    assert isinstance(fonts.font(20, text), ImageFont.FreeTypeFont)
    assert fonts.font(20, text).getname() != fonts.font(20).getname()
    assert fonts.font(20, "dog").getname() == fonts.font(20).getname()


def test_characters_that_no_font_has_give_a_warning(monkeypatch):
    fonts._file_for.cache_clear()
    monkeypatch.setattr(fonts, "_files", lambda: ())
    with pytest.warns(fonts.MissingGlyphWarning, match=r"no font .* of '猫', .* install"):
        assert printable("猫") == "猫"
    with pytest.warns(fonts.MissingGlyphWarning, match="drawn as 'label 3'"):
        assert printable("猫", otherwise="label 3") == "label 3"
    assert printable("Čeština") == "Cestina"
    fonts._file_for.cache_clear()


def test_the_inputs_are_left_as_they_were():
    image, label_map, table = noise(240, 320), cells(240, 320), colors(6, background=True)
    copies = image.copy(), label_map.copy(), table.copy()
    overlay(image, label_map, words(6), table)
    groups(image, label_map)
    for array, copy in zip((image, label_map, table), copies, strict=True):
        assert np.array_equal(array, copy)


def test_groups_have_the_mean_color_of_their_pixels():
    image, group_map = noise(240, 320), np.zeros((240, 320), np.uint16)
    group_map[:, 160:] = 700
    result = np.asarray(groups(image, group_map)).astype(int)
    for part in (slice(0, 150), slice(170, 320)):
        assert np.abs(result[:, part] - image[:, part].mean(axis=(0, 1))).max() <= 0.5


def test_groups_can_have_colors_of_their_own():
    table = np.array([[250, 0, 0], [0, 250, 0]], np.uint8)
    group_map = np.zeros((240, 320), np.uint8)
    group_map[:, 160:] = 1
    result = np.asarray(groups(np.full((240, 320, 3), 100, np.uint8), group_map, table))
    assert result[50, 50].tolist() == [205, 30, 30]
    assert result[50, 250].tolist() == [30, 205, 30]


@pytest.mark.parametrize(("columns", "shape"), [(1, (3, 1)), (2, (2, 2)), (3, (1, 3)), (9, (1, 3))])
def test_panels_fill_a_grid_row_by_row(columns, shape):
    panels = [(str(n), Image.new("RGB", (400, 300), (n, 0, 0))) for n in range(1, 4)]
    sheet = np.asarray(side_by_side(panels, columns=columns))
    for number in range(1, 4):
        pixels = np.argwhere((sheet == (number, 0, 0)).all(axis=-1))
        assert len(pixels) == 300 * 400
        row, column = divmod(number - 1, shape[1])
        assert row == pixels.min(axis=0)[0] * shape[0] // sheet.shape[0]
        assert column == pixels.min(axis=0)[1] * shape[1] // sheet.shape[1]


@pytest.mark.parametrize("size", [(1, 1), (30, 20), (200, 150), (2400, 1800)])
def test_panels_of_one_shape_become_equally_large(size):
    panels = [("small", Image.new("RGB", size, "red")), ("large", Image.new("L", (400, 300), 7))]
    sheet = np.asarray(side_by_side(panels, columns=2)).astype(int)
    assert max(sheet.shape) < 3500
    widths = [(sheet == color).all(axis=-1).any(axis=0).sum() for color in ((255, 0, 0), (7, 7, 7))]
    assert widths[0] / widths[1] > 0.7


@pytest.mark.parametrize("opacity", [-0.1, 1.5, float("nan")])
def test_an_opacity_out_of_range_is_refused(opacity):
    with pytest.raises(InputError, match=r"opacity is .*; give a number from 0 to 1"):
        draw(opacity=opacity)


def test_what_does_not_fit_together_is_refused():
    image, label_map = noise(240, 320), cells(240, 320)
    with pytest.raises(InputError, match="holds the index 5 but there are 3 labels"):
        overlay(image, label_map, words(6), colors(3, background=True))
    with pytest.raises(InputError, match="is empty"):
        groups(image[:0], label_map[:0])
    with pytest.raises(InputError, match="0 panels in 2 columns"):
        side_by_side([], columns=2)


@pytest.mark.parametrize("size", [(64, 48), (240, 320)])
def test_what_is_highlighted_stays_and_the_rest_is_dark(size):
    image, region = noise(*size), cells(*size) < 3
    factor = max(1, round(320 / max(size))) if max(size) <= 160 else 1
    found = np.array(highlight(image, region))
    assert found.shape == (size[0] * factor, size[1] * factor, 3)
    inside = np.zeros(size, bool)  # away from the border that is drawn
    inside[3:-3, 3:-3] = [
        [len(set(region[y - 3 : y + 4, x - 3 : x + 4].flat)) == 1 for x in range(3, size[1] - 3)]
        for y in range(3, size[0] - 3)
    ]
    small = found[factor // 2 :: factor, factor // 2 :: factor]
    np.testing.assert_array_equal(small[inside & region], image[inside & region])
    dark = image[inside & ~region] * 0.25
    np.testing.assert_allclose(small[inside & ~region], dark, atol=1)
