"""Tables of variants over seeds, as Markdown that grows row by row."""

import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch


class Table:
    """A row for each variant, a column for each thing measured.

    Args:
        file: Where it is written, anew with every row.
        columns: What is measured, and what it is multiplied by: 100 makes a share percent.
        conditions: What holds for all rows, such as seeds and steps.
    """

    def __init__(self, file: Path, columns: Mapping[str, float], conditions: str) -> None:
        self._file, self._columns = file, columns
        self._lines = [
            f"{conditions}, torch {torch.__version__} on {platform.machine()}, "
            f"{torch.get_num_threads()} threads",
            "",
            f"| variant | {' | '.join(columns)} |",
            "|---" * (1 + len(columns)) + "|",
        ]

    def add(self, variant: str, found: Sequence[dict[str, float]]) -> None:
        """A row of what was measured, one dictionary for each seed; then all is shown and kept."""
        cells = [
            _cell([factor * one[name] for one in found if name in one])
            for name, factor in self._columns.items()
        ]
        self._lines.append(f"| {variant} | {' | '.join(cells)} |")
        text = "\n".join(self._lines)
        print(text, flush=True)
        self._file.write_text(text + "\n", encoding="utf-8")


def _cell(values: Sequence[float]) -> str:
    """Mean and deviation."""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}" if values else "-"
