"""Markdown tables of variants over seeds, written row by row."""

import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch


class Table:
    """Table with a row for each variant and a column for each measured value.

    Args:
        file: Output file, rewritten with every row.
        columns: Names of the values, with factors to multiply by: 100 for shares in percent.
        conditions: Conditions of all rows, such as seeds and steps.
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
        """Add a row from the values of each seed; then print and write the table."""
        cells = [
            _cell([factor * one[name] for one in found if name in one])
            for name, factor in self._columns.items()
        ]
        self._lines.append(f"| {variant} | {' | '.join(cells)} |")
        text = "\n".join(self._lines)
        print(text, flush=True)
        self._file.write_text(text + "\n", encoding="utf-8")


def _cell(values: Sequence[float]) -> str:
    """Mean and standard deviation; "-" without values."""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}" if values else "-"
