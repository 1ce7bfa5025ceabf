"""Where tables go: to the screen, into a folder, and into their places in docs/speed.md.

A place is what stands between `<!-- name -->` and `<!-- end -->`.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT, PAGE = Path("out/bench"), ROOT / "docs/speed.md"


def tell(name: str, text: str, *, docs: bool) -> None:
    """Show a table and keep it; with `docs` put it into its place in the page too."""
    print(f"{name}\n\n{text}\n", flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name.replace(' ', '-')}.md").write_text(text + "\n", encoding="utf-8")
    if docs:
        PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")


def put(page: str, name: str, text: str) -> str:
    """The page with the text in the place of that name.

    Raises:
        SystemExit: There is no such place, or more than one.
    """
    place = re.compile(f"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    changed, count = place.subn(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page)
    if count != 1:
        raise SystemExit(f"the page has {count} places for {name!r}; it should have one")
    return changed
