import pytest
from PIL import Image

from groupvit.cli import main
from groupvit.weights import checkpoint
from groupvit.weights.checkpoint import Origin
from tests import lively


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The folder of a small model."""
    folder = tmp_path_factory.mktemp("models") / "lively"
    checkpoint.save(folder, lively.lively_model(), Origin(source="a test"))
    return folder


@pytest.fixture
def photos(tmp_path):
    """A folder with three images, one of them in a folder below."""
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    for seed, name in enumerate(["dog.jpg", "cat.png", "trip/boat.webp"]):
        Image.fromarray(lively.street(40, 60, seed)).save(folder / name)
    return folder


@pytest.fixture
def run(capsys):
    """Runs a command line; gives the exit code, what was printed, and what was complained of."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run
