"""Time of attention on this machine: the fused kernel of torch and two matrix products.

    python benchmarks/attention.py

The rule by which `groupvit.model.layers.attend` chooses between the two is based on this table.
Each row is the median of alternating runs [ms], of the forward and of forward and backward pass.
"""

import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

SHAPES = {
    "stage 1, 224 px, batch 1": (1, 6, 260),
    "stage 1, 224 px, batch 16": (16, 6, 260),
    "stage 1, 448 px, batch 1": (1, 6, 848),
    "stage 2, batch 16": (16, 6, 72),
    "stage 3, batch 16": (16, 6, 8),
    "storybook, batch 128": (128, 4, 116),
    "text, 64 prompts": (64, 4, 16),
}


def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention as two matrix products with a softmax between them."""
    logits = (query * query.shape[-1] ** -0.5) @ key.mT
    return logits.softmax(dim=-1) @ value


def seconds(attend: Callable[..., Tensor], inputs: list[Tensor], *, backward: bool) -> float:
    """Seconds of one run, with or without its gradient."""
    start = time.perf_counter()
    result = attend(*inputs)
    if backward:
        torch.autograd.grad(result.sum(), inputs)
    return time.perf_counter() - start


def compare(shape: tuple[int, int, int], dtype: torch.dtype, *, backward: bool) -> list[float]:
    """Median milliseconds of the fused kernel and of the two products, in alternating runs."""
    inputs = [torch.randn(*shape, 64, dtype=dtype, requires_grad=backward) for _ in range(3)]
    ways = (F.scaled_dot_product_attention, plain)
    runs: list[list[float]] = [[], []]
    for _ in range(15):
        for way, times in zip(ways, runs, strict=True):
            times.append(seconds(way, inputs, backward=backward))
    return [1000 * statistics.median(times[3:]) for times in runs]


def main() -> None:
    """Print one table for each precision."""
    for dtype in (torch.float32, torch.bfloat16):
        table = Table("shape", "fused", "plain", "fused + backward", "plain + backward")
        for name, shape in SHAPES.items():
            numbers = [
                *compare(shape, dtype, backward=False),
                *compare(shape, dtype, backward=True),
            ]
            table.add_row(name, *(f"{number:.2f} ms" for number in numbers))
        table.title = f"torch {torch.__version__}, {torch.get_num_threads()} threads, {dtype}"
        Console().print(table)


if __name__ == "__main__":
    main()
