"""Memory grows with the pixels of an image, not with pixels times labels."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux counts the peak"),
]
FIXED, BYTES_PER_PIXEL = 300_000_000, 60
"""Bound of docs/reliability.md; scores of 150 labels at every pixel would take 600 bytes each."""
CODE = """
import re, sys
from pathlib import Path
import numpy as np
from groupvit import Segmenter
from groupvit.serving.responses import SegmentResponse

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

segmenter = Segmenter.load("storybook")
labels = [f"word {number}" for number in range(150)]
small = np.zeros((60, 80, 3), np.uint8)
segmenter(small, labels).save(sys.argv[1])  # what is needed for any image
before = peak()
y, x = np.mgrid[:1200, :1600].astype(np.float32)
waves = 127 + 100 * np.stack([np.sin(x / 90), np.sin(y / 70), np.sin((x + y) / 150)], axis=-1)
image = waves.astype(np.uint8)
del y, x, waves
drawn = peak()
result = segmenter(image, labels)
if sys.argv[2] == "npz":
    result.save(sys.argv[1])
else:
    SegmentResponse.of(result, []).model_dump_json()
print(before, drawn, peak(), result.label_map.size)
"""


@pytest.mark.parametrize("kind", ["npz", "API"])
def test_the_peak_is_bounded_by_the_pixels_of_the_image(tmp_path, kind):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "a.npz"), kind],
        capture_output=True,
        text=True,
        check=True,
    )
    before, drawn, peak, pixels = map(int, re.findall(r"\d+", done.stdout))
    assert pixels == 1200 * 1600
    assert before < peak
    assert peak - before < FIXED + BYTES_PER_PIXEL * pixels or peak == drawn
