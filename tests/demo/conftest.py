import pytest

from groupvit.demo.writing import write
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.segmentation.segmenter import Segmenter
from groupvit.weights.checkpoint import Origin
from tests import lively


@pytest.fixture(scope="session")
def segmenter():
    """An untrained model: what it says is wrong, but it says something of everything."""
    return Segmenter(lively.lively_model(), origin=Origin(source="<drawn & new>", trained=False))


@pytest.fixture(scope="session")
def scenes():
    return Scenes(num=3, size=24)


@pytest.fixture(scope="session")
def told():
    """Calls of on_progress while the page was made."""
    return []


@pytest.fixture(scope="session")
def demo(segmenter, scenes, told, tmp_path_factory):
    """A page of two of three scenes."""
    out = tmp_path_factory.mktemp("demo") / "a" / "b"

    def tell(*done):
        told.append(done)

    return write(segmenter, scenes, out, model="mine & <own>", num=2, on_progress=tell)
