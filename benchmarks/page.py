"""Output of tables: to the screen, into a folder, and between their markers in docs/speed.md.

Markers are `<!-- name -->` and `<!-- end -->`.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT, PAGE = Path("out/bench"), ROOT / "docs/speed.md"


def publish(name: str, text: str, *, docs: bool) -> None:
    """Print a table and write it into a file; with `docs` into the page as well."""
    print(f"{name}\n\n{text}\n", flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name.replace(' ', '-')}.md").write_text(text + "\n", encoding="utf-8")
    if docs:
        PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")


def put(page: str, name: str, text: str) -> str:
    """Page with the text between the markers of that name.

    Raises:
        SystemExit: There are no such markers, or several.
    """
    place = re.compile(f"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    changed, count = place.subn(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page)
    if count != 1:
        raise SystemExit(f"the page has {count} places for {name!r}; it should have one")
    return changed
