from dataclasses import replace

import numpy as np
import pytest
import torch

from groupvit import Background
from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.evaluation.evaluate import evaluate
from groupvit.evaluation.measurement import Measurement
from groupvit.probes.clusters import Clustering, ClusteringSegmenter, cluster
from groupvit.segmentation.protocol import OURS
from groupvit.segmentation.segmenter import Segmenter

SCENES = Scenes(num=2, size=24)
METHODS = ["pixels", "kmeans", "mean-shift", "spectral"]


@pytest.fixture(scope="module")
def by_patch(lively_model):
    return Segmenter(lively_model, protocol=replace(OURS, naming="levels"))


def heaps(num=3, of=12, dim=8):
    """Points near to a few directions, and which."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.linalg.qr(torch.randn(dim, dim, generator=generator))[0][:num]
    which = torch.arange(num).repeat_interleave(of)[torch.randperm(num * of, generator=generator)]
    noise = 0.05 * torch.randn(num * of, dim, generator=generator)
    return torch.nn.functional.normalize(centers[which] + noise, dim=-1), which


@pytest.mark.parametrize("method", METHODS[1:])
def test_what_lies_together_is_one_cluster(method):
    points, which = heaps()
    found = cluster(points, Clustering(method=method, num_groups=3))
    pairs = set(zip(found.tolist(), which.tolist(), strict=True))
    assert len(pairs) == len({one for one, _ in pairs}) == 3


@pytest.mark.parametrize("method", METHODS)
def test_clusters_are_the_same_every_time_and_numbered_from_zero(method):
    points, _ = heaps()
    found = cluster(points, Clustering(method=method, num_groups=4))
    assert torch.equal(found, cluster(points, Clustering(method=method, num_groups=4)))
    assert set(found.tolist()) == set(range(int(found.max()) + 1))


def test_pixels_stand_alone():
    points, _ = heaps()
    assert cluster(points, Clustering(method="pixels")).tolist() == list(range(36))


@pytest.mark.parametrize("method", METHODS)
def test_segments_are_the_means_of_their_patches(by_patch, method):
    clustering = Clustering(method=method, num_groups=3)
    [plain] = by_patch.group([SCENES[0].image])
    [found] = ClusteringSegmenter(by_patch, clustering).group([SCENES[0].image])
    [window], [before] = found.windows, plain.windows
    members = cluster(before.naming_embeddings, clustering)
    assert (found.num_stages, window.naming) == (1, "segments")
    for number, segment in enumerate(window.segments):
        mean = before.naming_embeddings[members == number].mean(dim=0)
        torch.testing.assert_close(segment, torch.nn.functional.normalize(mean, dim=0))
    assert torch.equal(window.patch_assignment(0).argmax(dim=0), members)


def test_as_many_clusters_as_patches_are_pixels(by_patch):
    alone = ClusteringSegmenter(by_patch, Clustering(method="pixels"))
    many = ClusteringSegmenter(by_patch, Clustering(method="kmeans", num_groups=10_000))
    image = SCENES[0].image
    np.testing.assert_array_equal(
        alone(image, ["sky", "sea"]).label_map, many(image, ["sky", "sea"]).label_map
    )


def test_a_network_without_groups_is_clustered_too(tiny_config, build):
    stages = (replace(tiny_config.image.stages[-1], depth=1),)
    model = build(replace(tiny_config, image=replace(tiny_config.image, stages=stages)))
    clustered = ClusteringSegmenter(Segmenter(model), Clustering(method="kmeans", num_groups=3))
    assert evaluate(clustered, SCENES).groups_used == (3.0,)


def test_reports_tell_of_clusters(by_patch):
    assert Measurement.of(by_patch, SCENES).clusters is None
    clustered = ClusteringSegmenter(by_patch, Clustering(method="spectral", num_groups=3))
    assert Measurement.of(clustered, SCENES).clusters == "spectral, 3 groups"


def test_no_clusters_are_refused():
    with pytest.raises(InputError, match="num_groups is 0; give at least 1"):
        Clustering(method="kmeans", num_groups=0)


def test_a_calibration_holds_for_clusters_too(lively_model):
    told = Background(threshold=0.3)
    one = Segmenter(lively_model, background=told)
    found = ClusteringSegmenter(one, Clustering(method="pixels"))
    assert found.default_background(["dog"]) == told
