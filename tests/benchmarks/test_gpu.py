"""The script for a GPU: refused without one; what it compares is compared right."""

import subprocess
import sys

import pytest
import torch

from benchmarks import gpu
from benchmarks.learning import drawn_batch
from tests.words import ROOT


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_refused_in_one_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "benchmarks.gpu needs a GPU that torch can use, and finds none here\n"


@pytest.mark.slow
def test_the_gradient_is_the_same_each_time_and_another_for_other_pairs(tiny_model):
    cpu = torch.device("cpu")
    batch = drawn_batch(3)
    batch = batch._replace(images=batch.images[:, :, :32, :32].contiguous())
    first, again = (gpu.gradients(tiny_model, batch, cpu) for _ in range(2))
    assert torch.equal(first, again)
    assert first.norm() > 0
    other = gpu.gradients(tiny_model, batch.rows(torch.tensor([0, 1])), cpu)
    assert not torch.allclose(first, other)


def test_the_data_sheet_is_that_of_the_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    assert gpu.data_sheet_peak(torch.device("cuda")) == 989e12
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    assert gpu.data_sheet_peak(torch.device("cuda")) is None
    assert gpu.data_sheet_peak(torch.device("cpu")) is None
