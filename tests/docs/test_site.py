"""The site is built without a warning, and has what its parts are made of."""

import re
import runpy

import pytest

from groupvit.cli import COMMANDS
from tests.docs.commands import ROOT

SCRIPT = ROOT / "scripts/build_site.py"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    """Links and anchors are checked; pages outside the navigation are a warning."""
    pytest.importorskip("mkdocs", reason="the site is built by MkDocs (pip install --group docs)")
    pytest.importorskip("mkdocstrings_handlers.python", reason="which mkdocstrings extends")
    assert runpy.run_path(str(SCRIPT))["main"](tmp_path) == 0
    python = (tmp_path / "reference/python.html").read_text("utf-8")
    assert 'id="groupvit.Segmenter"' in python
    for page in tmp_path.rglob("*.html"):
        sources = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', page.read_text("utf-8")
        )
        assert all(source.startswith("https://groupvit.github.io/") for source in sources)


def test_commands_and_settings_are_listed_by_their_parsers_and_fields():
    script = runpy.run_path(str(SCRIPT))
    commands = script["commands_page"]()
    assert all(f"\n## {name}\n" in commands for name in COMMANDS)
    assert "| `--labels-from` `{None}\\|PATH` | Table with the labels of each image" in commands
    settings = script["settings_page"]()
    assert "## Training: `optim`" in settings
    assert re.search(r"\| `lr` \| `float` \| `[\d.e-]+` \| \S", settings)


def test_links_lead_to_pages_or_to_the_repository():
    script = runpy.run_path(str(SCRIPT))
    pages = {"docs/a.md": "a.md", "CHANGELOG.md": "changelog.md", "docs/b/c.md": "b/c.md"}
    text = "[1](b/c.md#x) [2](../CHANGELOG.md) [3](../src/x.py) [4](https://a.org) [5](#here)"
    site = script["repository"]()
    assert script["relinked"](text, "docs/a.md", pages) == (
        f"[1](b/c.md#x) [2](changelog.md) [3]({site}/blob/main/src/x.py) "
        "[4](https://a.org) [5](#here)"
    )
    assert script["relinked"]("[1](../a.md)", "docs/b/c.md", pages) == "[1](../a.md)"
