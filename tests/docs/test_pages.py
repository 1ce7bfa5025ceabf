"""Every block of code in the README and the documentation runs as it stands."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_HERE = re.compile(r"^(git clone|cd |make |pip install|python benchmarks/).*$", re.MULTILINE)
"""Lines that install or clone; continuous integration itself runs `make test`."""


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_shell_blocks_of_a_page_run(page, shell):
    for block in blocks(page, "bash"):
        shell("bash", "-euc", NOT_HERE.sub("", block))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_blocks_of_a_page_run_in_one_session(page, shell):
    code = "\n".join(blocks(page, "python"))
    if code:
        shell(sys.executable, "-c", code)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_commands_of_the_readme_are_targets_of_the_makefile(target):
    assert f"make {target}" in (ROOT / "README.md").read_text("utf-8")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.M)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 150
