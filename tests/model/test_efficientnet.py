import pytest
import torch
from torch.nn import functional as F

from groupvit.model.efficientnet import (
    Classifier,
    EfficientNetLite,
    SameConvolution,
    StoredNorm,
    stages,
)
from groupvit.normalization import DEVIATION, MEAN


@pytest.fixture
def trunk(build_trunk):
    return build_trunk("lite0")


@pytest.fixture(scope="session")
def build_trunk():
    """Makes a trunk of a variant with values drawn at random."""

    def build(variant):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return EfficientNetLite(variant).eval()

    return build


def normalized(pixels):
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return (pixels - mean) / deviation


@pytest.mark.parametrize(
    ("variant", "dims", "millions"),
    [
        ("lite0", (40, 112, 320), 4.65),
        ("lite1", (40, 112, 320), 5.42),
        ("lite2", (48, 120, 352), 6.09),
    ],
)
def test_variants_have_the_published_sizes(variant, dims, millions):
    with torch.device("meta"):
        trunk, classifier = EfficientNetLite(variant), Classifier()
    assert (trunk.fine_dim, trunk.middle_dim, trunk.coarse_dim) == dims
    number = sum(one.numel() for part in (trunk, classifier) for one in part.parameters())
    assert number / 1e6 == pytest.approx(millions, abs=0.01)


def test_the_first_and_the_last_stage_do_not_deepen():
    assert [stage.depth for stage in stages("lite2")] == [1, 3, 3, 4, 4, 5, 1]


@pytest.mark.parametrize("size", [(64, 96), (97, 131), (33, 8), (1, 1)])
def test_maps_of_any_size_cover_the_image(trunk, draw, size):
    taps = trunk.lower(draw(2, 3, *size))
    upper = trunk.upper(taps.middle)
    grids = {stride: tuple(-(-length // stride) for length in size) for stride in (8, 16, 32)}
    assert taps.fine.shape == (2, 40, *grids[8])
    assert taps.colors.shape == (2, 3, *grids[8])
    assert taps.middle.shape == (2, 112, *grids[16])
    assert upper.coarse.shape == (2, 320, *grids[32])
    assert upper.head.shape == (2, 1280, *grids[32])


@pytest.mark.parametrize("size", [(64, 96), (97, 131)])
def test_a_dilated_upper_half_keeps_the_stride_of_16(build_trunk, draw, size):
    trunk = build_trunk("lite0")
    trunk.upper.set_stride(16)
    middle = trunk.lower(draw(1, 3, *size)).middle
    upper = trunk.upper(middle)
    assert upper.coarse.shape[2:] == upper.head.shape[2:] == middle.shape[2:]


def test_a_dilated_upper_half_computes_the_other_between_its_places(build_trunk, draw):
    upper = build_trunk("lite0").upper
    middle = draw(1, 112, 32, 32)
    plain = upper(middle).coarse
    upper.set_stride(16)
    # Of an even length, the stride takes the odd places.
    inner = upper(middle).coarse[:, :, 1::2, 1::2][:, :, 7:9, 7:9]
    torch.testing.assert_close(inner, plain[:, :, 7:9, 7:9], atol=1e-5, rtol=1e-4)
    upper.set_stride(32)
    torch.testing.assert_close(upper(middle).coarse, plain, atol=0, rtol=0)


def test_colors_are_the_means_of_the_cells(trunk):
    pixels = torch.zeros(1, 3, 12, 16)
    pixels[:, 0, :8, :8] = 255
    pixels[:, 1, :8, 8:12] = 255
    pixels[:, 2, 8:] = 51  # the last row of cells holds half a cell
    colors = trunk.lower(normalized(pixels)).colors[0]
    expected = torch.tensor([[[1.0, 0], [0, 0]], [[0, 0.5], [0, 0]], [[0, 0], [0.2, 0.2]]])
    torch.testing.assert_close(colors, expected, atol=1e-5, rtol=0)


def test_the_border_is_zero_in_the_range_of_the_network(trunk):
    """A gray of 127 is 0 there, so that padding adds nothing to an image of it."""
    seen = []
    trunk.lower.stem.conv.register_forward_hook(lambda _module, given, _: seen.append(given[0]))
    trunk.lower(normalized(torch.full((1, 3, 32, 32), 127.0)))
    trunk.lower(normalized(torch.full((1, 3, 32, 32), 255.0)))
    torch.testing.assert_close(seen[0], torch.zeros(1, 3, 32, 32), atol=1e-6, rtol=0)
    torch.testing.assert_close(seen[1], torch.ones(1, 3, 32, 32), atol=1e-6, rtol=0)


def test_the_convolutions_run_channels_last(trunk, draw):
    taps = trunk.lower(draw(2, 3, 64, 64))
    for one in (taps.fine, taps.middle, trunk.upper(taps.middle.contiguous()).head):
        assert one.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "dilation", "zeros"),
    [
        (8, 3, 1, 1, (1, 1)),
        (8, 3, 2, 1, (0, 1)),
        (9, 3, 2, 1, (1, 1)),
        (8, 5, 2, 1, (1, 2)),
        (1, 5, 2, 1, (2, 2)),
        (8, 3, 1, 2, (2, 2)),
    ],
)
def test_convolutions_pad_as_tensorflow_does(draw, length, kernel, stride, dilation, zeros):
    conv = SameConvolution(1, 1, kernel, stride=stride)
    conv.dilation = dilation, dilation
    x = draw(1, 1, length, length)
    padded = F.pad(x, (*zeros, *zeros))
    expected = F.conv2d(padded, conv.weight, stride=stride, dilation=dilation)
    torch.testing.assert_close(conv(x), expected)


def test_training_changes_no_statistics(trunk, draw):
    images = draw(2, 3, 32, 32)
    norms = [module for module in trunk.modules() if isinstance(module, StoredNorm)]
    expected = trunk.upper(trunk.lower(images).middle).head
    trunk.train()
    assert torch.equal(trunk.upper(trunk.lower(images).middle).head, expected)
    assert all(torch.equal(norm.running_mean, torch.zeros_like(norm.bias)) for norm in norms)


def test_a_frozen_lower_half_passes_gradients_to_the_upper_alone(trunk, draw):
    trunk.lower.requires_grad_(False)
    trunk.upper(trunk.lower(draw(1, 3, 64, 64)).middle).head.square().mean().backward()
    assert all(one.grad is None for one in trunk.lower.parameters())
    assert all(one.grad is not None for one in trunk.upper.parameters())


def test_gradients_reach_the_stem_unless_it_is_frozen(trunk, draw):
    trunk.upper(trunk.lower(draw(1, 3, 64, 64)).middle).head.square().mean().backward()
    assert trunk.lower.stem.conv.weight.grad is not None


def test_logits_of_the_mean_are_the_mean_of_the_logits(draw):
    classifier, head = Classifier(), draw(2, 1280, 3, 4)
    whole = classifier(head.mean(dim=(2, 3), keepdim=True))[..., 0, 0]
    torch.testing.assert_close(classifier(head).mean(dim=(2, 3)), whole, atol=1e-5, rtol=1e-5)
