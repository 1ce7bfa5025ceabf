import numpy as np
import pytest

from groupvit.data import index
from groupvit.data.report import Quantiles, Report, report, sheet
from groupvit.errors import InputError
from tests.data.pairs import encoded, photo, sample, write_tar


@pytest.fixture
def shards(tmp_path):
    return prepare(
        write_tar(tmp_path / "a.tar", [part for n in range(5) for part in sample(n)]),
        write_tar(
            tmp_path / "b.tar",
            [
                ("wide.png", encoded(photo(height=10, width=90), "PNG")),
                ("wide.txt", "It is.\na dog and a dog and a dog"),
                ("bad.jpg", b"no image"),
                ("bad.txt", "a cat"),
                ("x.cls", "1"),
                ("y.txt", "a dog"),
            ],
        ),
    )


def prepare(*paths):
    return index.prepare(paths, "pattern")


def test_a_report_counts_what_shards_hold(shards):
    found = report(shards)
    assert (found.shards, found.samples, found.captions) == (2, 7, 13)
    assert found.bytes == sum(shard.path.stat().st_size for shard in shards)
    assert found.damage == {"foreign suffix": 1, "no image": 1}
    assert found.captions_without_nouns == 1


def test_a_report_measures_images_and_captions(shards):
    found = report(shards)
    assert (found.measured, found.unreadable) == (7, 1)
    assert found.width == Quantiles(smallest=32.0, median=32.0, percentile_95=90.0, largest=90.0)
    assert found.height == Quantiles(smallest=10.0, median=24.0, percentile_95=24.0, largest=24.0)
    assert (found.words.smallest, found.words.median, found.words.largest) == (2, 5, 8)


def test_a_report_lists_the_most_frequent_nouns_first(shards):
    nouns = report(shards).nouns
    assert next(iter(nouns)) in ("dog", "number", "hill")
    assert nouns["dog"] == 5
    assert list(nouns.values()) == sorted(nouns.values(), reverse=True)


def test_an_empty_shard_can_be_reported_but_not_shown(tmp_path):
    shards = prepare(write_tar(tmp_path / "a.tar", []))
    found = report(shards)
    assert isinstance(found, Report)
    assert (found.samples, found.words.largest) == (0, 0)
    with pytest.raises(InputError, match="hold no samples, so there is nothing to show"):
        sheet(shards)


def test_a_sheet_shows_every_sample_of_a_few(shards):
    image = sheet(shards)
    assert image.size == (6 * 272 + 16, 2 * 358 + 16)
    pixels = np.asarray(image)
    assert (pixels[:358, :272].min(axis=2) < 128).any()
    assert (pixels[374:, 272:].min(axis=2) == 255).all()


def test_progress_counts_shards(shards):
    calls = []
    report(shards, on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
