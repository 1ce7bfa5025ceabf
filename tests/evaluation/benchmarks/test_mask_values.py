import numpy as np
import pytest
from PIL import Image

from groupvit.background.calibration import calibrate
from groupvit.background.learned_layer import learn_from_masks
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks import mask_survey
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.benchmarks.mask_survey import checked, survey
from groupvit.evaluation.benchmarks.mask_values import mask_table
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluate import evaluate
from groupvit.segmentation.segmenter import Segmenter

CLASSES = ("background", "tree|oak", "car", '"salt, pepper"')
NAMES = "background\ntree|oak\ncar\n"


@pytest.fixture
def write(tmp_path):
    """Writes a benchmark of one image with these classes and this mask; gives the folder."""

    def write(mask, classes=NAMES):
        for name in ("images", "masks"):
            (tmp_path / name).mkdir(exist_ok=True)
        pixels = np.asarray(mask, np.uint8)
        Image.new("RGB", pixels.shape[1::-1]).save(tmp_path / "images/a.png")
        Image.fromarray(pixels).save(tmp_path / "masks/a.png")
        (tmp_path / "classes.txt").write_text(classes)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("texts", "known"),
    [
        (["0=background", "255=tree"], {0: 0, 255: 1}),
        (["0=background,255=oak"], {0: 0, 255: 1}),
        (["0=ignored", "1-4=background"], {0: 255, 1: 0, 2: 1, 3: 2, 4: 3, 255: 255}),
        (["0-9=void", "12=CAR", "13=Tree|Oak"], {0: 255, 9: 255, 12: 2, 13: 1, 255: 255}),
        (['"7=salt, pepper"'], {7: 3, 255: 255}),
    ],
)
def test_values_are_classes_by_name(texts, known):
    table = mask_table(texts, CLASSES).values
    expected = np.full(256, -1)
    for value, number in known.items():
        expected[value] = number
    named = np.array(sorted(known))
    np.testing.assert_array_equal(table[named], expected[named])
    if texts[0] != "0-9=void":
        np.testing.assert_array_equal(table, expected)


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (["tree"], "'tree' has no value of a mask; write VALUE=CLASS, such as 0=background"),
        (["0=boat"], "'0=boat' names no class; the classes are background, tree"),
        (["0"], "'0' names no class"),
        (["256=tree"], "'256=tree' is no range of values with a class for each"),
        (["5-2=tree"], "is no range of values"),
        (["0-9=tree"], "is no range of values .* there are 4 classes"),
        (["0=tree", "0-1=background"], "names a value that another text names"),
        (["ff0000=tree", "0=car"], "names colors and values; masks have one or the other"),
    ],
)
def test_a_map_that_is_none_is_refused(texts, complaint):
    with pytest.raises(InputError, match=f"--mask-values .*{complaint}"):
        mask_table(texts, CLASSES)


def test_masks_of_0_and_255_are_read_by_a_map(write):
    folder = write([[0, 255], [0, 0]])
    found = read_folder(folder, mask_values=["0=background", "255=tree"])
    np.testing.assert_array_equal(found[0].mask, [[0, 1], [0, 0]])
    assert survey(found).ignored == 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colors_are_classes(write, mode):
    folder = write(np.array([[[0, 0, 0], [255, 0, 0]], [[0, 0, 255], [9, 9, 9]]]))
    mask = folder / "masks/a.png"
    Image.open(mask).convert(mode, palette=Image.Palette.ADAPTIVE).save(mask)
    texts = ["000000=background", "#FF0000=car", "0000ff=tree", "090909=ignored"]
    np.testing.assert_array_equal(
        read_folder(folder, mask_values=texts)[0].mask, [[0, 2], [1, 255]]
    )
    with pytest.raises(InputError, match=r"has the color 0000ff and 1 other colors.*0000ff=CLASS"):
        read_folder(folder, mask_values=[*texts[:1], "ff0000=car", "090909=void"][:2])[0]


def test_the_colors_of_voc_are_known_by_name(write):
    # Aeroplane 128 0 0, bicycle 0 128 0, boat (4) 0 0 128, person (15) 192 128 128.
    colors = [
        [[0, 0, 0], [128, 0, 0], [0, 128, 0]],
        [[0, 0, 128], [192, 128, 128], [224, 224, 192]],
    ]
    names = "background\n" + "\n".join(f"class {number}" for number in range(1, 21))
    folder = write(np.array(colors), names)
    found = read_folder(folder, mask_values=["voc"])
    np.testing.assert_array_equal(found[0].mask, [[0, 1, 2], [4, 15, 255]])
    assert "#800000 (16.7%)" in str(survey(found))


def test_a_value_outside_the_map_is_refused_in_its_terms(write):
    found = read_folder(write([[0, 3]]), mask_values=["0=background"])
    with pytest.raises(InputError, match=r"the value 3, which --mask-values does not name; add 3="):
        found[0]


def test_a_survey_names_values_missing_classes_and_the_ignored_share(write):
    found = survey(read_folder(write([[0, 1, 1, 255]])))
    assert str(found) == (
        "masks: values 0 (25.0%), 1 (50.0%), 255 (25.0%); in no mask: car; ignored: 25.0%"
    )
    assert (found.present, found.missing, found.ignored) == ({0, 1}, ["car"], 0.25)


@pytest.mark.parametrize(
    ("mask", "complaint"),
    [
        ([[0] * 999 + [255]], r"pass --mask-values 0=background \"?255=tree.*255=ignored$"),
        ([[0, 1, 255]], r"in no mask: car; .* pass --mask-values 0-1=background 255=car, and"),
        ([[0, 1, 7]], r"no class has the number 7: add it to .*classes.txt, or .* 7=CLASS"),
        ([[0, 1, 3]], r"if 0 stands for .* --mask-values 0=ignored \"1-3=background\", and if 3"),
    ],
)
def test_masks_that_seem_to_be_of_another_kind_are_refused(write, mask, complaint):
    with pytest.raises(InputError, match=complaint):
        survey(read_folder(write(mask))).check()


@pytest.mark.parametrize(
    "mask",
    [
        [[0, 1, 2, 255]],  # every class is there
        [[0, 1, 1, 1]],  # nothing is ignored
        [[0] * 500 + [1] * 499 + [255]],  # borders
    ],
)
def test_masks_of_the_ordinary_kind_pass(write, mask):
    survey(read_folder(write(mask))).check()


def test_a_map_that_names_255_as_ignored_passes(write):
    texts = ["0-1=background", "255=ignored"]
    survey(read_folder(write([[0, 1, 255]]), mask_values=texts)).check()


def test_masks_are_checked_once(write, monkeypatch):
    found = read_folder(write([[0, 1, 2, 255]]))
    first = checked(found)
    monkeypatch.setattr(mask_survey, "survey", lambda *_, **__: pytest.fail("read again"))
    assert checked(found) is first
    assert checked(Scenes(num=1, seed=0)) is None


@pytest.mark.parametrize("use", [evaluate, calibrate, learn_from_masks])
def test_programs_refuse_binary_masks_as_commands_do(write, lively_model, use):
    binary = read_folder(write([[0] * 4 + [255]] * 5))
    with pytest.raises(InputError, match=r"pass --mask-values 0=background \"?255=tree"):
        use(Segmenter(lively_model), binary)


ADE = tuple(f"class {number}" for number in range(150))


def test_colors_of_ade_are_its_classes_in_their_order():
    table = mask_table(["ade"], ADE)
    classes = dict(zip(table.names, table.values.tolist(), strict=True))
    assert classes["#787878"] == 0
    assert (classes["#5c00ff"], classes["#ff0000"], classes["#000000"]) == (149, 66, 255)
    assert sorted(set(range(150)) - set(classes.values())) == [6, 48]  # of one color
    few = mask_table(["ade"], ADE[:3])
    assert sorted(few.values.tolist()) == [0, 1, 2, 255]


def test_the_color_that_two_classes_of_ade_share_is_refused_until_it_is_named(write):
    folder = write([[0x8C, 0x78]], "\n".join(ADE) + "\n")
    found = read_folder(folder, mask_values=["ade"])
    with pytest.raises(InputError, match=r"has the color 8c8c8c, which .* add 8c8c8c=CLASS"):
        found[0]
    found = read_folder(folder, mask_values=["ade", "8c8c8c=class 48"])
    np.testing.assert_array_equal(found[0].mask, [[48, 0]])
