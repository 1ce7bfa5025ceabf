"""Shards of tiny images, and a segmenter of a small model."""

import io
import tarfile

import pytest
from PIL import Image

from groupvit import Segmenter
from groupvit.weights import checkpoint
from groupvit.weights.checkpoint import Origin
from tests.lively import lively_model, street


def jpeg(seed):
    file = io.BytesIO()
    Image.fromarray(street(40, 60, seed)).save(file, "JPEG")
    return file.getvalue()


def write_tar(path, images):
    """A tar shard of these images by key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for key, data in images.items():
            member = tarfile.TarInfo(f"{key}.jpg")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def contents(folder):
    """All files below a folder by their names."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="session")
def model(once):
    """The folder of a small model."""

    def save(folder):
        checkpoint.save(folder / "lively", lively_model(), Origin(source="a test"))

    return once("bulk-model", save) / "lively"


@pytest.fixture(scope="session")
def segmenter():
    return Segmenter(lively_model(), batch_size=2)


@pytest.fixture
def tars(tmp_path):
    """Three tar shards of three images; one image is broken, and one shard is missing."""
    for shard in (0, 1, 3):
        images = {f"{shard}{i}": jpeg(10 * shard + i) for i in range(3)}
        if shard == 1:
            images["11"] = images["11"][:40]
        write_tar(tmp_path / "tars" / f"s-{shard:03}.tar", images)
    return str(tmp_path / "tars" / "s-{000..003}.tar")
