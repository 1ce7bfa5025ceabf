import pytest


@pytest.fixture(scope="session")
def folder(exports):
    """The bundled model as an exported one."""
    return exports / "exact"
