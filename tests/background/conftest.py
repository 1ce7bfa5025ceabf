import pytest

from tests import lively


@pytest.fixture(scope="session")
def lively_model():
    return lively.lively_model()
