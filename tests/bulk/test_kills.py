"""Runs that are killed at random moments: every image is in the results once, as without."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_after_kills_the_results_are_those_of_an_uninterrupted_run():
    script = ROOT / "benchmarks/bulk_kills.py"
    command = [sys.executable, script, "--kills", "5", "--mean", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("5 SIGKILLs (")
    assert "0 results differ" in done.stdout
