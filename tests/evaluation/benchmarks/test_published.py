import hashlib

import numpy as np
import pytest
from pycocotools import mask as run_lengths

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.benchmark import Benchmark
from groupvit.evaluation.benchmarks.files import Files, identity
from groupvit.evaluation.benchmarks.published import PUBLISHED
from groupvit.evaluation.measurement import Measurement, class_names
from groupvit.segmentation.labels import parse
from groupvit.segmentation.protocol import PROTOCOLS
from groupvit.segmentation.segmenter import Segmenter
from tests.evaluation.benchmarks import layouts


def row(root, key, index=0):
    """The classes of a mask, whose rows are all alike."""
    mask = PUBLISHED[key].open(root)[index].mask
    assert (mask == mask[0]).all()
    return mask[0].tolist()


def test_voc_is_read_in_the_order_of_its_list(tmp_path):
    layouts.voc(tmp_path, [0, 1, 15, 20, 255])
    found = PUBLISHED["voc"].open(tmp_path)
    assert isinstance(found, Benchmark)
    assert [found[index].name for index in range(2)] == ["2007_000042.jpg", "2007_000033.jpg"]
    assert len(found) == 2
    assert row(tmp_path, "voc") == [0, 1, 15, 20, 255, 0]
    assert class_names(found)[15] == "person"


def test_without_background_its_pixels_do_not_count(tmp_path):
    layouts.voc(tmp_path, [0, 1, 15, 20, 255])
    assert row(tmp_path, "voc20") == [255, 0, 14, 19, 255, 255]
    assert class_names(PUBLISHED["voc20"].open(tmp_path))[14] == "person"


def test_converted_masks_of_context_are_taken_as_they_are(tmp_path):
    layouts.context(tmp_path, [0, 1, 59])
    assert row(tmp_path, "context") == [0, 1, 59] * 2
    assert row(tmp_path, "context59") == [255, 0, 58] * 2


# pycocotools 2.0.11 does not know numpy's newer way of asking for an array.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_context_is_painted_from_the_file_of_its_authors(tmp_path):
    whole, left, middle = (np.zeros((4, 6), bool) for _ in range(3))
    whole[:, :5], left[:, :2], middle[:, 1:3] = True, True, True
    # Ids of aeroplane, wood and sky; later regions lie over earlier ones, the rest is background.
    regions = [(360, whole), (2, left), (458, middle)]
    layouts.context_json(tmp_path, regions, run_lengths=run_lengths)
    found = PUBLISHED["context"].open(tmp_path)
    assert len(found) == 1  # the other image is one for training
    assert [class_names(found)[value] for value in found[0].mask[2]] == [
        *("aeroplane", "wood", "wood", "sky", "sky", "background")
    ]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda file: file.write_text("{"), "is not the file of that name"),
        (lambda file: file.write_text('{"images": []}'), "is not the file of that name"),
        (lambda file: file.unlink(), "there is no file"),
    ],
)
def test_a_file_of_context_that_is_none_is_named(tmp_path, spoil, complaint):
    layouts.context_json(tmp_path, [], run_lengths=run_lengths)
    spoil(tmp_path / "VOCdevkit/VOC2010/trainval_merged.json")
    with pytest.raises(InputError, match=complaint):
        PUBLISHED["context"].open(tmp_path)


def test_an_unknown_category_of_context_is_refused(tmp_path):
    layouts.context_json(tmp_path, [(3, np.ones((4, 6), bool))], run_lengths=run_lengths)
    with pytest.raises(InputError, match="is not the file of that name"):
        PUBLISHED["context"].open(tmp_path)


def test_things_of_coco_are_counted_over_the_gaps_of_its_ids(tmp_path):
    # Values are ids less 1: person, bicycle, hair drier (89), toothbrush (90), a stuff, unlabeled.
    layouts.coco(tmp_path, [0, 1, 88, 89, 91, 255])
    found = PUBLISHED["coco-object"].open(tmp_path)
    assert [class_names(found)[value] for value in row(tmp_path, "coco-object")] == [
        *("person", "bicycle", "hair drier", "toothbrush", "background", "background")
    ]


def test_stuff_of_coco_follows_its_things(tmp_path):
    layouts.coco(tmp_path, [0, 89, 91, 181, 255])
    assert row(tmp_path, "coco-stuff") == [0, 79, 80, 170, 255, 0]


def test_a_value_that_coco_never_gave_is_refused(tmp_path):
    layouts.coco(tmp_path, [11])
    with pytest.raises(InputError, match="has the value 11, but the list of COCO-Stuff 171"):
        row(tmp_path, "coco-stuff")


@pytest.mark.parametrize(
    ("ending", "values", "classes"),
    [
        ("labelTrainIds", [0, 18, 255], [0, 18, 255]),
        ("labelIds", [7, 33, 0], [0, 18, 255]),
        ("labelIds", [26, 29, 11], [13, 255, 2]),
    ],
)
def test_cityscapes_is_read_converted_or_as_it_comes(tmp_path, ending, values, classes):
    layouts.cityscapes(tmp_path, values, ending=ending)
    assert row(tmp_path, "cityscapes") == classes * 2
    assert class_names(PUBLISHED["cityscapes"].open(tmp_path))[13] == "car"


def test_what_ade20k_calls_other_does_not_count(tmp_path):
    layouts.ade20k(tmp_path, [0, 1, 150])
    assert row(tmp_path, "ade20k") == [255, 0, 149] * 2


@pytest.mark.parametrize("key", PUBLISHED)
def test_missing_files_are_answered_by_where_they_belong_and_come_from(tmp_path, key):
    with pytest.raises(InputError) as caught:
        PUBLISHED[key].open(tmp_path)
    one = PUBLISHED[key]
    for told in ("there ", str(tmp_path), one.title, one.expected, one.source, "--root"):
        assert told in str(caught.value)


def test_a_missing_mask_is_named(tmp_path):
    layouts.voc(tmp_path, [0])
    (tmp_path / "VOCdevkit/VOC2012/SegmentationClass/2007_000033.png").unlink()
    with pytest.raises(InputError, match=r"there is no file .*SegmentationClass/2007_000033.png"):
        PUBLISHED["voc"].open(tmp_path)


COUNTS = {
    "voc": 20,
    "voc20": 20,
    "context": 59,
    "context59": 59,
    "coco-object": 80,
    "coco-stuff": 171,
    "cityscapes": 19,
    "ade20k": 150,
}


@pytest.mark.parametrize(("key", "count"), COUNTS.items())
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_every_protocol_has_words_for_every_class(lively_model, key, count, protocol):
    one = PUBLISHED[key]
    described = {"key": key, "labels": one.labels, "has_background": one.has_background}
    empty = Files(name="", pairs=(), values=identity(1), listed="", **described)
    found = Measurement.of(Segmenter(lively_model, protocol=protocol), empty)
    assert len(one.labels) == len(found.labels) == count
    parsed = parse(found.labels, found.background)
    assert len(parsed.names) + len(parsed.background) >= count
    assert (found.background is not None) == one.has_background


def test_protocols_rename_only_classes_that_there_are():
    for protocol in PROTOCOLS.values():
        for key, settings in protocol.benchmarks.items():
            assert set(settings.words) <= set(PUBLISHED[key].labels)


def test_the_lists_of_names_stay_as_they_were_checked():
    lists = {one.classes: "\n".join(one.labels) for one in PUBLISHED.values()}
    found = {name: hashlib.sha256(text.encode()).hexdigest()[:8] for name, text in lists.items()}
    assert found == {
        "voc": "7d877f18",
        "pascal_context": "cd808465",
        "coco_object": "d7654b26",
        "coco_stuff": "8ea44449",
        "cityscapes": "5995d02d",
        "ade20k": "f9dbd8a7",
    }
