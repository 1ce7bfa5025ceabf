"""All tables and the chart of docs/speed.md, measured on a CPU; `make bench` runs it.

    python -m benchmarks.speed [SECTION ...] [--docs]

Tables are written into out/bench. With `--docs` they also replace those in docs/speed.md, and the
chart replaces docs/images/waterfall.svg.
"""

import argparse
import time

from benchmarks import (
    backends,
    growth,
    learning,
    planned,
    processes,
    profiles,
    reading,
    segmenting,
    waterfall,
)
from benchmarks.contest import environment
from benchmarks.page import OUT, ROOT, publish

SECTIONS = {
    "segmenting": (segmenting, 7),
    "processes": (processes, 3),
    "learning": (learning, 3),
    "reading": (reading, 5),
    "growth": (growth, 3),
    "planned": (planned, 3),
    "profiles": (profiles, 2),
    "backends": (backends, 5),
}
"""Module and number of rounds of each section."""
CHART = "waterfall"


def main() -> None:
    """Run the selected sections; without any, all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", help=f"some of {', '.join([*SECTIONS, CHART])}")
    parser.add_argument("--docs", action="store_true", help="write into docs/speed.md too")
    given = parser.parse_args()
    wanted = given.sections or [*SECTIONS, CHART]
    if unknown := set(wanted) - {*SECTIONS, CHART}:
        parser.error(f"there is no section {unknown.pop()}")
    OUT.mkdir(parents=True, exist_ok=True)
    publish("environment", environment(), docs=given.docs)
    for section in wanted:
        start = time.perf_counter()
        if section == CHART:
            show_waterfall(docs=given.docs)
        else:
            module, rounds = SECTIONS[section]
            for name, table in module.tables(rounds):
                publish(name, table, docs=given.docs)
        print(f"{section}: {time.perf_counter() - start:.0f} s\n", flush=True)


def show_waterfall(*, docs: bool) -> None:
    """Draw the chart and write its tables."""
    found = waterfall.measured(3)
    waterfall.draw(found, OUT / "waterfall.svg")
    if docs:
        waterfall.draw(found, ROOT / "docs/images/waterfall.svg")
    for name, table in waterfall.tables(found):
        publish(name, table, docs=docs)


if __name__ == "__main__":
    main()
