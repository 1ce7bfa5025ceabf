import numpy as np
import pytest
import torch
from PIL import Image

from groupvit.distributed import session
from groupvit.errors import InputError
from groupvit.probes import classification
from groupvit.probes.classification import Item, classify, find_items
from groupvit.segmentation.segmenter import Segmenter
from tests import lively

NAMES = ["dog", "cat", "sky", "grass", "car", "boat", "tree"]


def write(folder, sizes=((40, 60), (64, 64), (90, 33))):
    """A folder for each name, with some images."""
    for seed, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True)
        for number, size in enumerate(sizes):
            image = Image.fromarray(lively.street(*size, 10 * seed + number))
            image.save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module")
def segmenter(lively_model):
    return Segmenter(lively_model)


def similarities(segmenter, items, names):
    """Cosines, image by image and by the formulas."""
    side = segmenter.model.config.image.image_size
    rows = []
    for item in items:
        image = Image.open(item.path).convert("RGB")
        short = round(side * 256 / 224)
        size = [int(short * length / min(image.size)) for length in image.size]
        left, top = (round((length - side) / 2) for length in size)
        square = np.array(image.resize(size, Image.Resampling.BILINEAR))
        square = square[top : top + side, left : left + side]
        rows.append(segmenter.embed_images(torch.from_numpy(square).movedim(-1, 0)[None])[0])
    return torch.stack(rows) @ segmenter.embed_words(names).T


def test_folders_are_classes_in_the_order_of_the_alphabet(folder):
    names, items = find_items(folder)
    assert names == sorted(NAMES)
    assert len(items) == 3 * len(NAMES)
    assert all(names[item.label] == item.path.parent.name for item in items)


def test_accuracy_is_the_share_of_images_whose_name_is_near(segmenter, folder):
    names, items = find_items(folder)
    found = classify(segmenter, items, names)
    order = similarities(segmenter, items, names).argsort(dim=1, descending=True)
    labels = torch.tensor([item.label for item in items])
    for cutoff in (1, 5):
        right = (order[:, :cutoff] == labels[:, None]).any(dim=1)
        assert found.accuracy[cutoff] == pytest.approx(right.float().mean().item())
    for label, name in enumerate(names):
        right = (order[:, 0] == labels)[labels == label]
        assert found.by_class[name] == pytest.approx(right.float().mean().item())
    assert (found.num_images, found.num_damaged) == (len(items), 0)


def test_classes_of_one_name_are_one(segmenter, folder):
    names, items = find_items(folder)
    plain = classify(segmenter, items, names)
    doubled = [Item(item.path, item.label + (item.path.name == "0.png") * 7) for item in items]
    assert classify(segmenter, doubled, [*names, *names]) == plain


def test_a_tie_counts_as_nearer(segmenter, folder, monkeypatch):
    names, items = find_items(folder)
    alike = torch.ones(len(names), segmenter.model.config.embedding_dim)
    monkeypatch.setattr(Segmenter, "embed_words", lambda *_: alike)
    assert classify(segmenter, items, names).accuracy == {1: 0.0, 5: 0.0}


def test_damaged_images_are_left_out_and_counted(segmenter, tmp_path):
    write(tmp_path, sizes=[(40, 60)])
    (tmp_path / "dog/0.png").write_bytes(b"nothing")
    names, items = find_items(tmp_path)
    found = classify(segmenter, items, names)
    assert (found.num_images, found.num_damaged) == (len(NAMES) - 1, 1)
    assert "dog" not in found.by_class
    for item in items:
        item.path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="none of the images can be read"):
        classify(segmenter, items, names)


def test_progress_is_told(segmenter, folder):
    told = []
    names, items = find_items(folder)
    classify(segmenter, items, names, on_progress=lambda *done: told.append(done))
    assert told[-1] == (len(items), len(items))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: path.with_name("x").mkdir(), "no folder .*photos; give one"),
        (lambda path: path.mkdir(), "holds no folders"),
        (lambda path: (path / "dog").mkdir(parents=True), "no images in"),
    ],
)
def test_what_is_no_folder_of_classes_is_refused(tmp_path, make, complaint):
    make(tmp_path / "photos")
    with pytest.raises(InputError, match=complaint):
        find_items(tmp_path / "photos")


def before_ranks(folder):
    write(folder / "classes")


def on_each_rank(folder):
    with session("cpu") as ranks:
        names, items = find_items(folder / "classes")
        return repr(classify(Segmenter(lively.lively_model()), items, names, ranks=ranks))


@pytest.mark.slow
def test_two_ranks_count_every_image_once(segmenter, folder, both_ranks):
    names, items = find_items(folder)
    alone = classify(segmenter, items, names)
    assert both_ranks == [repr(alone)] * 2


def test_the_square_is_that_of_the_original(tmp_path, monkeypatch):
    """The longer side is cut off to a whole number, half an offset rounded to even."""
    cuts = []
    crop = Image.Image.crop

    def recorded(image, box):
        cuts.append((image.size, box[:2]))
        return crop(image, box)

    monkeypatch.setattr(Image.Image, "crop", recorded)
    for size in ((500, 375), (500, 333), (375, 500), (300, 263)):
        Image.new("RGB", size).save(tmp_path / "image.png")
        classification._center(tmp_path / "image.png", 224)
    assert cuts == [
        ((341, 256), (58, 16)),  # 341.3, (341 - 224) / 2 = 58.5
        ((384, 256), (80, 16)),  # 384.4
        ((256, 341), (16, 58)),
        ((292, 256), (34, 16)),  # 292.02
    ]
