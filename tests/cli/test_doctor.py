"""The table of `groupvit doctor`."""

import torch

from groupvit.version import VERSION


def test_versions_hardware_and_extras_are_listed(run):
    code, printed, complaint = run("doctor")
    assert (code, complaint) == (0, "")
    for part in (VERSION, torch.__version__, "processor", "hub cache"):
        assert part in printed
    extras = [line for line in printed.splitlines() if line.strip().startswith("extra ")]
    assert any("train" in line for line in extras)
    assert all("missing" in line or any(c.isdigit() for c in line) for line in extras)
