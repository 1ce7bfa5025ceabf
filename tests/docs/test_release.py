"""Needs of a release: one version, links for an index, workflows that fit their schema."""

import re
import runpy
import sys
import tomllib
import types

import pytest

from groupvit.version import VERSION
from tests.docs.commands import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"][
    "Repository"
]


def test_the_changelog_and_the_citation_have_the_version():
    sections = re.findall(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert sections[:2] == ["Unreleased", VERSION]
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_the_readme_of_an_index_has_absolute_links(monkeypatch):
    for name in ("hatchling", "hatchling.metadata", "hatchling.metadata.plugin"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    plugin = types.ModuleType("hatchling.metadata.plugin.interface")
    plugin.MetadataHookInterface = object
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    absolute = runpy.run_path(str(ROOT / "hatch_build.py"))["absolute"]
    text = absolute((ROOT / "README.md").read_text("utf-8"), REPOSITORY)
    assert f"]({REPOSITORY}/raw/main/docs/images/photographs.jpg)" in text
    assert f"]({REPOSITORY}/blob/main/docs/segment.md)" in text
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert all(re.match(r"https?://|#", link) for link in links)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_only_calls_scripts_and_pinned_actions(workflow):
    text = workflow.read_text("utf-8")
    for command in re.findall(r"run: (.*)", text):
        assert re.match(r"make \w+ PYTHON=python$|scripts/\w+ ", command), command
    actions = re.findall(r"uses: (.*)", text)
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", action) for action in actions)
    assert "cache" not in re.sub(r"#.*", "", text)


def test_workflows_fit_their_schema():
    main = pytest.importorskip("check_jsonschema").main
    with pytest.raises(SystemExit) as end:
        main(["--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)])
    assert end.value.code == 0


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_no_page_installs_from_an_index_that_does_not_have_the_package(page):
    assert not re.search(r"pip install ['\"]?groupvit", (ROOT / page).read_text("utf-8"))
