import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    """Runs the command in a process of its own, where no shapes are checked while it traces."""

    def run(*arguments):
        folder = tmp_path_factory.mktemp("exported") / "model"
        command = [sys.executable, "-m", "groupvit", "export", "storybook", folder, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return folder, done

    return run


@pytest.fixture(scope="session")
def exact(export):
    return export("--scenes", "2", "--labels", "boat", "sea", "sky")


@pytest.fixture(scope="session")
def whole_numbers(export):
    return export("--precision", "int8", "--scenes", "4")


@pytest.fixture
def folder(exact):
    return exact[0]
