import pytest

from tests import lively
from tests.evaluation.folders import write_folder


@pytest.fixture(scope="session")
def lively_model():
    return lively.lively_model()


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """A benchmark of five drawn images, which no test changes."""
    return write_folder(tmp_path_factory.mktemp("book"), num=5)


@pytest.fixture
def folder(tmp_path):
    """A benchmark of two drawn images, the test's own."""
    return write_folder(tmp_path / "own", num=2)
