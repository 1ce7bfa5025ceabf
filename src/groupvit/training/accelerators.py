"""Accelerators that a run can be planned for, with the figures of their data sheets."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accelerator:
    """Peak rates and memory of one accelerator."""

    bfloat16: float
    """Operations in a second of dense matrix products in bfloat16 (float16, where there is none)
    with sums in float32 [1/s]."""
    float32: float
    """The same in float32 [1/s]."""
    memory: float
    """Memory [bytes]."""

    def peak(self, precision: str) -> float:
        """Operations in a second in `float32` or `bfloat16` [1/s]."""
        return self.bfloat16 if precision == "bfloat16" else self.float32


GB, TERA = 1e9, 1e12
ACCELERATORS = {
    "v100": Accelerator(125 * TERA, 15.7 * TERA, 32 * GB),
    "a100": Accelerator(312 * TERA, 19.5 * TERA, 80 * GB),
    "h100": Accelerator(989 * TERA, 67 * TERA, 80 * GB),
    "h200": Accelerator(989 * TERA, 67 * TERA, 141 * GB),
    "l4": Accelerator(121 * TERA, 30.3 * TERA, 24 * GB),
    "l40s": Accelerator(362 * TERA, 91.6 * TERA, 48 * GB),
    "rtx4090": Accelerator(165 * TERA, 82.6 * TERA, 24 * GB),
}
"""Accelerators by the name that `groupvit plan --kind` takes."""
EFFICIENCY = 0.2
"""Assumed share of the peak that a step reaches. The best public figure for training a ViT-S
on an H100 is 0.229 (NVIDIA, ViT-5-Small, synthetic images); the original reached 0.1 on V100s."""
LINK = 50.0
"""Speed between devices [10^9 bytes/s]: one port of 400 Gbit/s for each."""
