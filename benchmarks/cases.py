"""Cases from the field, run one by one: a table of what is expected and what is seen.

    python -m benchmarks.cases FOLDER

FOLDER holds a folder for each case, with its input and a README. Commands run in this process, with
small models; cases of several ranks start `torchrun`. The table is Markdown.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.case_runs import Case, Seen
from benchmarks.image_cases import IMAGE_CASES
from benchmarks.training_cases import TRAINING_CASES

CASES = IMAGE_CASES | TRAINING_CASES


def row(name: str, case: Case, folder: Path) -> str:
    """Row of the table."""
    with tempfile.TemporaryDirectory() as out:
        try:
            seen = case.run(folder / name, Path(out))
        except Exception as error:  # a fault of the package, or of the case
            seen = Seen(f"{type(error).__name__}: {error}", right=False)
        text = seen.text.replace(out, "OUT").replace(str(folder), "CASES").replace("|", "\\|")
    return f"| {name} | {case.expected} | {text} | {'right' if seen.right else 'WRONG'} |"


def main() -> None:
    """Run the cases, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", help="cases; default: all")
    chosen = parser.parse_args()
    print("| case | expected | seen | |\n|---|---|---|---|", flush=True)
    for name, case in CASES.items():
        if name in (chosen.only or CASES):
            print(row(name, case, chosen.folder), flush=True)


if __name__ == "__main__":
    main()
