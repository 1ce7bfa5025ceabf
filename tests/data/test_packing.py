import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from groupvit import imaging
from groupvit.data import packing, patterns
from groupvit.data.packing import PackingConfig, pack
from groupvit.data.pairs import Pair
from groupvit.data.shards import Shards
from groupvit.errors import InputError
from tests.data.pairs import encoded, photo


@pytest.fixture
def pairs(tmp_path):
    """Five sound pairs, with images of several formats."""
    kinds = ["JPEG", "PNG", "WEBP", "JPEG", "JPEG"]
    return [
        pair(tmp_path, number, encoded(photo(number), kind)) for number, kind in enumerate(kinds)
    ]


def pair(folder, number, data, captions=None):
    path = folder / f"photo {number}.jpg"
    path.write_bytes(data)
    return Pair(path, captions or (f"dog {number}", f"cat {number}"))


def packed(pairs, out, *, overwrite=False, on_progress=None, **settings):
    config = PackingConfig(**{"shard_size": 2} | settings)
    return pack(pairs, out, config, overwrite=overwrite, on_progress=on_progress)


def contents(result):
    """First caption and image of every sample."""
    samples = Shards(result.shards)
    return {
        reader.captions(n)[0].text: reader.image(n)
        for number, shard in enumerate(result.shards)
        for reader in [samples.reader(number)]
        for n in range(shard.num_samples)
    }


def test_every_pair_is_in_a_shard_with_all_its_captions(pairs, tmp_path):
    result = packed(pairs, tmp_path / "out", image_size=0)
    assert [shard.num_samples for shard in result.shards] == [2, 2, 1]
    assert sum(shard.num_captions for shard in result.shards) == 10
    assert contents(result) == {p.captions[0]: p.image.read_bytes() for p in pairs}
    assert not result.skipped


def test_shards_are_there_with_their_indexes_and_nothing_else(pairs, tmp_path):
    result = packed(pairs, tmp_path / "out", name="my-set")
    names = [f"my-set-00000{number}.tar" for number in range(3)]
    expected = sorted(names + [f"{name}.index" for name in names])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == expected
    assert [shard.path.name for shard in result.shards] == names
    assert not any(shard.damage for shard in result.shards)


def test_the_same_pairs_give_the_same_bytes(pairs, tmp_path):
    first, second, other = (
        packed(pairs, tmp_path / name, image_size=16, shuffle_seed=seed)
        for name, seed in (("one", 0), ("two", 0), ("three", 1))
    )
    stored = [[s.path.read_bytes() for s in result.shards] for result in (first, second, other)]
    assert stored[0] == stored[1] != stored[2]


@pytest.mark.parametrize(("limit", "size"), [(16, (21, 16)), (24, (32, 24)), (0, (32, 24))])
def test_large_images_are_reduced_and_others_stay(tmp_path, limit, size):
    one = pair(tmp_path, 0, encoded(photo(height=24, width=32), "PNG"))
    result = packed([one], tmp_path / "out", image_size=limit)
    (data,) = contents(result).values()
    assert (data == one.image.read_bytes()) == (size == (32, 24))
    (tmp_path / "x").write_bytes(data)
    assert imaging.read(tmp_path / "x").shape[:2] == size[::-1]


@pytest.mark.parametrize("limit", [0, 4, 512])
@pytest.mark.parametrize("kind", ["TIFF", "BMP", "GIF", "AVIF"])
def test_images_of_other_formats_become_jpeg(tmp_path, kind, limit):
    gray = Image.new("RGB", (12, 8), (90, 90, 90))
    file = io.BytesIO()
    gray.save(file, kind)
    result = packed([pair(tmp_path, 0, file.getvalue())], tmp_path / "out", image_size=limit)
    [data] = contents(result).values()
    assert data.startswith(b"\xff\xd8\xff")
    pixels = imaging.decode(data, name="packed")
    assert pixels.shape[:2] == ((4, 6) if limit == 4 else (8, 12))
    assert np.abs(pixels.astype(int) - 90).max() < 6


def test_reduced_images_are_upright_and_alike(tmp_path):
    pixels = np.asarray(Image.fromarray(photo()).resize((160, 120), Image.Resampling.BICUBIC))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    one = pair(tmp_path, 0, encoded(pixels, quality=100, exif=exif))
    (data,) = contents(packed([one], tmp_path / "out", image_size=60)).values()
    (tmp_path / "x").write_bytes(data)
    expected = Image.fromarray(pixels[::-1, ::-1]).resize((80, 60), Image.Resampling.LANCZOS)
    assert np.abs(imaging.read(tmp_path / "x").astype(int) - np.asarray(expected)).mean() < 3


def test_what_cannot_be_used_is_left_out_and_listed(pairs, tmp_path):
    bad = [
        pair(tmp_path, 10, b"no image"),
        pair(tmp_path, 11, encoded(photo())[:200]),
        Pair(tmp_path / "missing.jpg", ("a dog",)),
        Pair(pairs[0].image.with_name("photo 1.jpg"), ()),
    ]
    result = packed([*pairs, *bad], tmp_path / "out")
    assert len(contents(result)) == 5
    listed = (tmp_path / "out" / "train.skipped.txt").read_text().splitlines()
    assert sorted(line.split("\t")[0] for line in listed) == sorted(str(p.image) for p in bad)
    reasons = " ".join(listed)
    for part in ("is not a JPEG", "is damaged", "no file", "it has no caption"):
        assert part in reasons


def test_the_list_of_a_former_run_does_not_stay(pairs, tmp_path):
    packed([*pairs, Pair(Path("missing.jpg"), ("a dog",))], tmp_path / "out")
    packed(pairs, tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "train.skipped.txt").exists()


def test_shards_are_replaced_only_when_asked(pairs, tmp_path):
    packed(pairs, tmp_path / "out")
    with pytest.raises(InputError, match=r"train-000000\.tar exists already; .* --overwrite"):
        packed(pairs, tmp_path / "out")
    packed(pairs, tmp_path / "out", name="other")
    result = packed(pairs[:3], tmp_path / "out", overwrite=True)
    names = sorted(path.name for path in (tmp_path / "out").glob("*.tar"))
    assert names == [f"other-00000{n}.tar" for n in range(3)] + [
        f"train-00000{n}.tar" for n in range(2)
    ]
    assert len(contents(result)) == 3


def test_a_stopped_run_leaves_nothing(pairs, tmp_path):
    def stop(done, total):
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packed(pairs, tmp_path / "out", on_progress=stop)
    assert list((tmp_path / "out").iterdir()) == []


def test_progress_counts_every_pair(pairs, tmp_path):
    calls = []
    packed(pairs, tmp_path / "out", on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(number, 5) for number in range(1, 6)]


def test_more_pairs_than_are_prepared_at_once_keep_their_order(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_AT_ONCE", 2)
    in_twos = packed(pairs, tmp_path / "one")
    expected = list(pairs)
    random.Random(0).shuffle(expected)
    assert list(contents(in_twos)) == [p.captions[0] for p in expected]


def test_nothing_to_pack_is_reported_with_the_first_reason(tmp_path):
    with pytest.raises(InputError, match=r"none of the 1 pairs can be used; the first: .*no file"):
        packed([Pair(tmp_path / "missing.jpg", ("a dog",))], tmp_path / "out")
    with pytest.raises(InputError, match=r"none of the 0 pairs can be used$"):
        packed([], tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_reported(pairs, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/out cannot be written"):
        packed(pairs, tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"name": "../x"}, "name is '../x'; use letters, digits, points and dashes"),
        ({"name": ""}, "name is ''"),
        ({"shard_size": 0}, "shard_size is 0; give at least 1"),
        ({"image_size": -1}, "image_size is -1; give a length, or 0"),
        ({"quality": 101}, "quality is 101; give 1 to 100"),
    ],
)
def test_settings_out_of_range_are_refused(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        PackingConfig(**settings)


def test_shards_of_which_some_are_old_are_refused_and_completed(pairs, tmp_path, monkeypatch):
    packed(pairs, tmp_path / "out")
    monkeypatch.setattr("groupvit.files.complete", lambda *_: None)  # as if killed before
    packed(pairs, tmp_path / "out", overwrite=True)
    monkeypatch.undo()
    with pytest.raises(InputError, match="holds old and new files of 'train'"):
        patterns.expand([str(tmp_path / "out" / "train-000000.tar")])
    result = packed(pairs, tmp_path / "out", overwrite=True)
    patterns.expand([str(result.shards[0].path)])
    assert not list((tmp_path / "out").glob(".*"))
