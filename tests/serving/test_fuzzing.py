"""Requests that a machine makes up from the API's own description: none may break it."""

import subprocess
import sys
from functools import partial

import pytest

from groupvit.segmentation.segmenter import Segmenter
from groupvit.serving.application import application
from tests.serving.running import Running

pytestmark = pytest.mark.slow
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
"""Not whether everything that fits the description is taken: a form says nothing of images."""


def test_what_schemathesis_makes_up_is_answered_as_the_description_says(tmp_path):
    segmenter = Segmenter.load("storybook")
    server = Running(partial(application, segmenter, name="storybook", page=False))
    command = ["run", f"http://127.0.0.1:{server.port}/openapi.json", "--seed", "0"]
    limits = ["--max-time", "15", "--max-response-time", "20", "--checks", ",".join(CHECKS)]
    try:
        found = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", *command, *limits, "--no-color"],
            cwd=tmp_path,  # where it keeps notes
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-2000:]
        assert "Selected: 9/9" in found.stdout
        assert server.get("/healthz").status == 200
    finally:
        server.close()
