"""docs/architecture.md and its drawing describe the package as it is."""

import re
import runpy

import pytest

from tests.docs.commands import ROOT

PAGES = [ROOT / "docs/architecture.md", ROOT / "docs/how-it-works.md", ROOT / "CONTRIBUTING.md"]
DRAW = runpy.run_path(str(ROOT / "scripts/draw_architecture.py"))


def test_every_package_has_a_purpose_and_no_other_has():
    assert set(DRAW["purposes"]()) == {name for layer in DRAW["layers"]() for name in layer}


def test_the_drawing_is_that_of_the_script():
    """After a change: python scripts/draw_architecture.py."""
    drawn = (ROOT / "docs/images/architecture.svg").read_text("utf-8")
    assert drawn == DRAW["drawing"]()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_a_page_names_exist(page):
    for name in re.findall(r"(?<![\w./-])(?:\w+/)+\w+\.(?:py|txt|toml)", page.read_text("utf-8")):
        assert (ROOT / "src/groupvit" / name).exists() or (ROOT / name).exists(), name
