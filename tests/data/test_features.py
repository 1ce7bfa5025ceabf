"""The cache of trunk features, with a trunk whose weights are drawn at random."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from groupvit.data import feature_writing
from groupvit.data.augmentation import augment
from groupvit.data.config import AugmentationConfig, DataConfig
from groupvit.data.features import MANIFEST, FeatureCache, Manifest, digest
from groupvit.data.loader import Batches, stream
from groupvit.distributed import Ranks
from groupvit.errors import InputError
from groupvit.model.efficientnet import Classifier, EfficientNetLite
from groupvit.text.tokenizer import Tokenizer
from groupvit.weights.efficientnet import Pretrained
from tests.data.pairs import encoded, photo, sample, write_shards, write_tar
from tests.data.test_loader import same

SIZE, CROPS = 32, 2
WHOLE = {"crop_scale_min": 1.0, "crop_ratio_min": 1.0, "crop_ratio_max": 1.0}
PLAIN = AugmentationConfig(flip=False, rand_augment_ops=0, erasing=0.0)


@pytest.fixture(scope="module")
def pretrained():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Pretrained(EfficientNetLite("lite0").eval(), Classifier().eval())


@pytest.fixture
def config(tmp_path):
    return DataConfig(
        shards=(write_shards(tmp_path / "pairs", 3, 4, 2),),
        batch_size=4,
        cached_crops=CROPS,
        augmentation=PLAIN,
    )


def batches(config):
    return Batches(config, Tokenizer(), seed=0, image_size=SIZE)


@pytest.fixture
def cached(tmp_path, pretrained):
    """The cache of these settings in a folder."""

    def cached(config, name="cache"):
        weights = digest(pretrained)
        manifest = Manifest.of(config, "lite0", weights, seed=0, image_size=SIZE)
        return FeatureCache(tmp_path / name, manifest, batches(config).shards)

    return cached


@pytest.fixture
def written(cached, pretrained):
    """Writes the cache of these settings."""

    def written(config, name="cache", ranks=Ranks(), **options):  # noqa: B008 - it is frozen
        cache = cached(config, name)
        cache.check(rebuild=False)
        feature_writing.write(cache, pretrained, config, ranks, **options)
        return cache

    return written


def contents(cache):
    return {path.name: path.read_bytes() for path in cache.folder.iterdir()}


def test_stored_features_are_those_of_the_trunk(config, written, pretrained):
    config = replace(config, **WHOLE)
    plain, stored = batches(replace(config, cached_crops=0)), batches(config)
    stored.read_from(written(config))
    images, features = plain[0].images, stored[0].features
    with torch.no_grad():
        pixels = augment(images, PLAIN, generator=torch.Generator())
        middle = pretrained.trunk.lower(pixels).middle
        likely = pretrained.classifier(pretrained.trunk.upper(middle).head).softmax(1).topk(16, 1)
    assert stored[0].images.shape == (4, 3, 0, 0)
    torch.testing.assert_close(features.middle.float(), middle, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(
        features.class_probabilities.float(), likely.values, rtol=2e-3, atol=1e-6
    )
    assert features.class_ids.dtype == torch.int16
    assert (features.class_ids == likely.indices).float().mean() > 0.9


def test_half_of_the_crops_are_flipped(tmp_path, config, written):
    parts = [("0.jpg", encoded(photo(5, 32, 32))), ("0.txt", "a dog")]
    path = write_tar(tmp_path / "a.tar", parts)
    config = replace(config, shards=(str(path),), batch_size=1, cached_crops=8, **WHOLE)
    flipping = replace(config, augmentation=replace(PLAIN, flip=True))
    one = written(config).record(0, 0, 0)["middle"]
    flipped = written(flipping, "flipped")
    records = [flipped.record(0, 0, crop)["middle"] for crop in range(8)]
    assert 0 < sum(np.array_equal(one, record) for record in records) < 8


def test_batches_depend_on_their_step_alone(config, written):
    data = batches(config)
    data.read_from(written(config))
    whole = list(stream(data, start=0, stop=6, num_workers=0))
    resumed = batches(config)
    resumed.read_from(written(config))
    for step in (5, 3, 4):
        assert same(resumed[step], whole[step])


@pytest.mark.slow
def test_workers_read_the_cache(config, written):
    data = batches(config)
    data.read_from(written(config))
    for step, batch in enumerate(stream(data, start=0, stop=3, num_workers=1)):
        assert same(batch, data[step])


def test_captions_and_nouns_are_those_of_the_image(config, written):
    data = batches(config)
    data.read_from(written(config))
    plain = batches(replace(config, cached_crops=0))[0]
    assert set(data[0].caption_nouns[:, 0].tolist()) == set(plain.caption_nouns[:, 0].tolist())


def test_an_interrupted_cache_is_continued(config, written, cached):
    whole = contents(written(config, "whole"))
    passed = iter(range(100))

    def interrupt(_, total):
        assert total == 9
        if next(passed) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written(config, on_progress=interrupt)
    cache = cached(config)
    assert cache.missing() == [1, 2]
    (cache.folder / ".partial-00000000-a.npy").write_text("left over")
    written(config)
    assert contents(cache) == whole


def test_a_complete_cache_is_not_written_again(config, written):
    first = contents(written(config))
    calls = []
    assert contents(written(config, on_progress=lambda *x: calls.append(x))) == first
    assert not calls


class Rank(Ranks):
    """A rank that does not wait."""

    def barrier(self):
        pass


def test_two_ranks_write_what_one_does(config, written, cached, pretrained):
    alone = contents(written(config, "alone"))
    cache = cached(config)
    with pytest.raises(InputError, match="is missing, which another rank has written"):
        feature_writing.write(cache, pretrained, config, Rank(0, 0, 2))
    assert cache.missing() == [1]
    feature_writing.write(cache, pretrained, config, Rank(1, 1, 2))
    assert contents(cache) == alone


def test_features_of_other_settings_are_refused_or_replaced(config, written, cached, pretrained):
    written(config)
    other = replace(config, cached_crops=1)
    cache = cached(other)
    with pytest.raises(InputError, match=r"crops was 2 and is 1.; name another data\.cache, or"):
        cache.check(rebuild=False)
    cache.check(rebuild=True)
    feature_writing.write(cache, pretrained, other, Ranks())
    assert len(contents(cache)) == 4
    assert cache.record(0, 0, 0)["damaged"] == 0


def test_another_folder_is_left_alone(config, cached):
    cache = cached(config)
    cache.folder.mkdir()
    (cache.folder / MANIFEST).write_text(json.dumps({"format": "other"}))
    for rebuild in (False, True):
        with pytest.raises(InputError, match="is no manifest of features"):
            cache.check(rebuild=rebuild)
    (cache.folder / MANIFEST).rename(cache.folder / "mine.npy")
    for rebuild in (False, True):
        with pytest.raises(InputError, match="holds something else than features; name another"):
            cache.check(rebuild=rebuild)


def test_a_damaged_image_is_replaced_by_the_next_and_counted(tmp_path, config, written):
    parts = [sample(number) for number in range(4)]
    parts[3][0] = ("000003.jpg", b"no image")
    path = write_tar(tmp_path / "a.tar", [part for pair in parts for part in pair])
    config = replace(config, shards=(str(path),))
    data = batches(config)
    data.read_from(written(config))
    plain = batches(replace(config, cached_crops=0))
    assert data[0].damaged == plain[0].damaged == 1
    assert sorted(data[0].caption_nouns[:, 0]) == sorted(plain[0].caption_nouns[:, 0])


def test_a_damaged_file_is_named(config, written):
    cache = written(config)
    cache.path(0).write_bytes(cache.path(0).read_bytes()[:-10])
    with pytest.raises(InputError, match=r"cannot be read .*; delete it and start again"):
        cache.record(0, 0, 0)


def test_a_full_disk_is_one_sentence(config, written, monkeypatch):
    full = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("groupvit.data.features.shutil.disk_usage", lambda _: full)
    with pytest.raises(InputError, match=r"^the features need 0\.00 GB in .*, which has 0\.00 GB"):
        written(config)


def test_a_cache_states_its_contents(config, written):
    cache = written(config)
    size = sum(path.stat().st_size for path in cache.folder.glob("*.npy"))
    assert 0 <= size - cache.num_bytes() < 3 * 1000
    assert "features of 2 crops of 9 images, 0.0 MB" in cache.summary()


def test_a_folder_without_crops_is_refused():
    with pytest.raises(InputError, match=r"data\.cache is 'x', but data\.cached_crops is 0"):
        DataConfig(cache="x")
