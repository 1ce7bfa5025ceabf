"""Every block of code in the README, the documentation and the settings files is tried.

`bash` and `python` run, with small numbers; of `console`, which takes too long or needs what is not
here, the arguments are parsed.
"""

import re

import pytest

from tests.docs import commands
from tests.docs.commands import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
RECIPES = sorted((ROOT / "configs").glob("*.toml"))

DRAWN = "groupvit storybook"

in_place = pytest.mark.usefixtures("place")


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def header(recipe):
    """The commands that the comment at the top of a settings file shows."""
    top = re.match(r"(#.*\n)+", recipe.read_text("utf-8"))[0]
    return "".join(f"{line}\n" for line in re.findall(r"^#   +(\S.*?)(?:  +\(.*\))?$", top, re.M))


def of_pages(language):
    pages = [page for page in PAGES if blocks(page, language)]
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.name)


@pytest.mark.slow
@in_place
@of_pages("bash")
def test_the_shell_blocks_of_a_page_run(page):
    for block in blocks(page, "bash"):
        commands.run(block)


@pytest.mark.slow
@in_place
@of_pages("python")
def test_the_python_blocks_of_a_page_run_in_one_session(page):
    code = "\n".join(blocks(page, "python"))
    exec(compile(code, page, "exec"), {"__name__": "__main__"})


@in_place
@of_pages("console")
def test_the_arguments_of_the_other_blocks_of_a_page_fit(page, monkeypatch):
    for block in blocks(page, "console"):
        commands.parse(block, monkeypatch)


@in_place
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_commands_at_the_top_of_a_settings_file_fit(recipe, monkeypatch):
    assert f"configs/{recipe.name}" in header(recipe)
    commands.parse(header(recipe), monkeypatch)


@pytest.mark.slow
@in_place
@pytest.mark.parametrize(
    "recipe",
    [recipe for recipe in RECIPES if DRAWN in header(recipe)],
    ids=lambda recipe: recipe.name,
)
def test_a_settings_file_for_drawn_scenes_trains_from_nothing(recipe):
    commands.run(header(recipe))


def anchors(page):
    """The anchors that GitHub gives the headings of a page."""
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)", page.read_text("utf-8"))
    for target, anchor in links:
        other = page.parent / target if target else page
        assert other.exists(), target
        assert not anchor or anchor in anchors(other), f"{target}#{anchor}"


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_commands_of_the_readme_are_targets_of_the_makefile(target):
    assert f"make {target}" in (ROOT / "README.md").read_text("utf-8")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.M)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 150
