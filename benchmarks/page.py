"""Output of tables: to the screen, into a folder, and between their markers in docs/speed.md.

Markers are `<!-- name -->` and `<!-- end -->`. Processors with AMX, whose matrix products in
bfloat16 are several times as fast, and those without have tables of their own: the latter stand
behind the former, between `<!-- name, without AMX -->` and `<!-- end -->`.
"""

import re
from pathlib import Path

from groupvit.processor import read

ROOT = Path(__file__).parents[1]
OUT, PAGE = Path("out/bench"), ROOT / "docs/speed.md"


def publish(name: str, text: str, *, docs: bool) -> None:
    """Print a table and write it into a file; with `docs` into the page as well."""
    print(f"{name}\n\n{text}\n", flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name.replace(' ', '-')}.md").write_text(text + "\n", encoding="utf-8")
    if docs:
        page = PAGE.read_text(encoding="utf-8")
        has_amx = "AMX" in read().extensions
        page = put(page, name, text) if has_amx else put_without_amx(page, name, text)
        PAGE.write_text(page, encoding="utf-8")


def put_without_amx(page: str, name: str, text: str) -> str:
    """Page with the text as that of a processor without AMX, behind that of one with it."""
    own = f"{name}, without AMX"
    if f"<!-- {own} -->" not in page:
        place = re.compile(f"<!-- {re.escape(name)} -->\n.*?<!-- end -->\n", re.DOTALL)
        behind = f"\nOn a processor without AMX:\n\n<!-- {own} -->\n<!-- end -->\n"
        page = place.sub(lambda found: found[0] + behind, page, count=1)
    return put(page, own, text)


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
