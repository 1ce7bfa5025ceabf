import gzip
import io
import tarfile

import pytest

from groupvit.data import tar_samples
from groupvit.errors import InputError
from tests.data.pairs import as_json, encoded, photo, sample, write_tar

JPEG = encoded(photo())


def contents(tmp_path, *parts):
    return tar_samples.read(write_tar(tmp_path / "a.tar", parts))


def test_places_lead_to_the_images(tmp_path):
    parts = [part for number in range(5) for part in sample(number)]
    path = write_tar(tmp_path / "a.tar", parts)
    samples, damage = tar_samples.read(path)
    stored = path.read_bytes()
    found = [stored[s.image.offset : s.image.offset + s.image.size] for s in samples]
    assert found == [data for name, data in parts if name.endswith("jpg")]
    assert not damage


def test_every_line_of_a_text_is_a_caption(tmp_path):
    text = "\ufeffA  dog\truns.\r\n\n  \ncaf\u00e9\u2028by\0night\n"
    samples, _ = contents(tmp_path, ("a.jpg", JPEG), ("a.txt", text))
    assert samples[0].captions == ("A dog runs.", "café by night")


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "webp", "JPG"])
def test_images_of_every_suffix_count(tmp_path, suffix):
    assert len(contents(tmp_path, (f"a.{suffix}", JPEG), ("a.txt", "a dog")).samples) == 1


def test_without_a_text_the_metadata_have_the_caption(tmp_path):
    samples, damage = contents(tmp_path, ("a.jpg", JPEG), ("a.json", as_json(caption="a\ndog")))
    assert samples[0].captions == ("a dog",)
    assert not damage


def test_a_text_wins_over_metadata(tmp_path):
    parts = ("a.jpg", JPEG), ("a.json", as_json(caption="a cat")), ("a.txt", "a dog")
    assert contents(tmp_path, *parts).samples[0].captions == ("a dog",)


def test_a_text_that_the_metadata_have_whole_is_one_caption(tmp_path):
    text = "two lines\nof a\tdog"
    parts = ("a.jpg", JPEG), ("a.json", as_json(caption=f" {text}\n")), ("a.txt", text)
    assert contents(tmp_path, *parts).samples[0].captions == ("two lines of a dog",)


def test_texts_of_other_encodings_are_counted(tmp_path):
    parts = ("a.jpg", JPEG), ("a.txt", "ein schöner Hund".encode("latin-1"))
    samples, damage = contents(tmp_path, *parts, ("b.jpg", JPEG), ("b.txt", "ä".encode("utf-16")))
    assert [sample.captions for sample in samples] == [("ein sch\ufffdner Hund",), ("ä",)]
    assert damage == {"text not UTF-8": 1}


def test_parts_of_a_sample_need_not_be_neighbors(tmp_path):
    parts = ("x/a.jpg", JPEG), ("y/a.jpg", JPEG), ("y/a.txt", "a dog"), ("x/a.txt", "a cat")
    samples, damage = contents(tmp_path, *parts)
    assert [sample.captions for sample in samples] == [("a cat",), ("a dog",)]
    assert not damage


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ([("b.jpg", JPEG)], "no caption"),
        ([("b.jpg", JPEG), ("b.txt", "\n \n")], "no caption"),
        ([("b.jpg", JPEG), ("b.json", "{no json")], "no caption"),
        ([("b.jpg", JPEG), ("b.json", "[" * 100_000)], "no caption"),
        ([("b.jpg", JPEG), ("b.json", as_json(caption=None))], "no caption"),
        ([("b.jpg", JPEG), ("b.json", "[1]")], "no caption"),
        ([("b.txt", "a dog")], "no image"),
        ([("b.jpg", b""), ("b.txt", "a dog")], "no image"),
        ([("a.cls", "3")], "foreign suffix"),
        ([("a.seg.png", JPEG)], "foreign suffix"),
        ([("README", "a dog")], "foreign suffix"),
        ([("._a.jpg", JPEG)], "foreign suffix"),
        ([("a.jpg", JPEG)], "duplicate key"),
        ([("a.png", JPEG)], "duplicate key"),
        ([("a.txt", "a cat")], "duplicate key"),
    ],
)
def test_what_is_no_sample_is_counted_and_left_out(tmp_path, parts, kind):
    samples, damage = contents(tmp_path, ("a.jpg", JPEG), ("a.txt", "a dog"), *parts)
    assert [sample.captions for sample in samples] == [("a dog",)]
    assert damage == {kind: 1}


def test_members_of_absurd_size_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_samples, "LARGEST_TEXT", 10)
    samples, damage = contents(tmp_path, *sample(0, captions=["short"]), *sample(1))
    assert len(samples) == 1
    assert damage == {"too large": 1, "no caption": 1}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_never_followed(tmp_path, kind):
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret")
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("a.jpg")
        member.size = len(JPEG)
        tar.addfile(member, io.BytesIO(JPEG))
        link = tarfile.TarInfo("a.txt")
        link.type, link.linkname = kind, str(secret)
        tar.addfile(link)
    assert tar_samples.read(path) == ([], {"no plain file": 1, "no caption": 1})


def test_folders_are_passed_over(tmp_path):
    for name in ("a.jpg", "a.txt"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(JPEG if name == "a.jpg" else b"a dog")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "in", "in")
    samples, damage = tar_samples.read(tmp_path / "a.tar")
    assert len(samples) == 1
    assert not damage


def test_of_a_cut_file_what_is_whole_counts(tmp_path):
    parts = [part for number in range(6) for part in sample(number)]
    path = write_tar(tmp_path / "a.tar", parts)
    whole, stored = tar_samples.read(path).samples, path.read_bytes()
    for kept in range(0, len(stored) - 10240, 700):
        path.write_bytes(stored[:kept])
        samples, damage = tar_samples.read(path)
        assert samples == whole[: len(samples)]
        assert damage["truncated"] == 1
        assert all(sample.image.offset + sample.image.size <= kept for sample in samples)
    assert len(samples) >= 4


def test_a_broken_header_in_the_middle_is_not_taken_for_the_end(tmp_path):
    path = write_tar(tmp_path / "a.tar", [part for n in range(3) for part in sample(n)])
    stored = bytearray(path.read_bytes())
    place = stored.index(b"000001.jpg")
    stored[place : place + 300] = bytes(range(100)) * 3
    path.write_bytes(stored)
    samples, damage = tar_samples.read(path)
    assert len(samples) == 1
    assert damage == {"truncated": 1}


@pytest.mark.parametrize(
    "content", [b"no tar file at all " * 100, gzip.compress(b"x" * 2000, mtime=0)]
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tar is no tar file, or a compressed one; give"):
        tar_samples.read(tmp_path / "a.tar")


def test_a_negative_size_ends_the_file(tmp_path):
    path = write_tar(tmp_path / "a.tar", [part for n in range(3) for part in sample(n)])
    stored = bytearray(path.read_bytes())
    header = stored.index(b"000001.jpg")
    stored[header + 124 : header + 136] = b"\xff" * 10 + b"\xfc\x00"
    stored[header + 148 : header + 156] = b" " * 8
    total = sum(stored[header : header + 512])
    stored[header + 148 : header + 156] = b"%06o\0 " % total
    path.write_bytes(stored)
    samples, damage = tar_samples.read(path)
    assert len(samples) == 1
    assert damage == {"truncated": 1}
