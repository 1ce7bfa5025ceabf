"""Public names and prose follow docs/glossary.md; `python -m tests.words` lists violations."""

import ast

import pytest

from tests.words import NAMES, OPENINGS, PROSE, ROOT, banned, findings, names, words_of


@pytest.fixture(scope="module")
def found():
    return findings(ROOT)


@pytest.mark.parametrize("kind", [NAMES, OPENINGS, PROSE])
def test_no_banned_word_is_used(found, kind):
    assert [str(finding) for finding in found if finding.kind == kind] == []


def test_the_glossary_gives_a_word_for_every_banned_one():
    for kind in (NAMES, OPENINGS, PROSE):
        assert len(banned(kind)) >= 5
        assert all(banned(kind).values())


def test_banned_names_are_words_that_names_are_split_into():
    for word in banned(NAMES):
        assert "_".join(words_of(word)) == word


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("def show_picture(): ...", "show_picture"),
        ("def draw(*, by_patch=False): ...", "by_patch"),
        ("class PictureFolder: ...", "PictureFolder"),
        ("class Config:\n    learner: int = 0", "learner"),
        ("def report():\n    return {'num_pictures': 1}", "num_pictures"),
        ("def segment(*, naming: Literal['segments', 'speakers']): ...", "speakers"),
        ("class Page:\n    async def tell(self): ...", "tell"),
    ],
)
def test_names_of_every_kind_are_collected(code, name):
    assert name in [one for one, _ in names(ast.parse(code))]
    assert any(f"_{word}_" in f"_{'_'.join(words_of(name))}_" for word in banned(NAMES))


def test_prose_is_found_where_it_stands(tmp_path):
    folder = tmp_path / "src/groupvit"
    folder.mkdir(parents=True)
    docstring = '"""Who computes.\n\nArgs:\n    x: Whether it is told.\n"""\n\n'
    (folder / "one.py").write_text(docstring + 'X = "it goes  on"  # speaks\n')
    (tmp_path / "README.md").write_text("`speaks`\n\n```\nspeaks\n```\n\nit speaks\n")
    found = [(finding.file.name, finding.line, finding.text) for finding in findings(tmp_path)]
    assert found == [
        ("one.py", 1, "Who"),
        ("one.py", 4, "Whether"),
        ("one.py", 4, "told"),
        ("one.py", 7, "goes on"),
        ("one.py", 7, "speaks"),
        ("README.md", 7, "speaks"),
    ]
