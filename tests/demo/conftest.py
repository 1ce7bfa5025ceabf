import pytest

from groupvit.demo.writing import DemoModel, write
from groupvit.evaluation.benchmarks.scenes import Scenes
from groupvit.photographs.bundled import PHOTOGRAPHS
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
def make(segmenter, scenes):
    """Writes a page of two photographs and of some of three scenes."""

    def page(out, *, num=2, on_progress=lambda *_: None):
        return write(
            out,
            PHOTOGRAPHS[:2],
            scenes,
            photograph_model=DemoModel("<my> & photos", segmenter),
            scene_model=DemoModel("mine & <own>", segmenter),
            num=num,
            on_progress=on_progress,
        )

    return page


@pytest.fixture(scope="session")
def demo(make, told, tmp_path_factory):
    """A page of two photographs and two of three scenes."""
    out = tmp_path_factory.mktemp("demo") / "a" / "b"

    def tell(*done):
        told.append(done)

    return make(out, on_progress=tell)
