"""Names and prose of the package, compared with the banned words of docs/glossary.md.

    python -m tests.words [ROOT]

prints every finding below the root of a checkout, and their number by package.
"""

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "docs/glossary.md"
NAMES, OPENINGS, PROSE = "names", "docstrings", "prose"
DATA = (
    *("storybook/captions.py", "storybook/colors.py", "text/templates.py"),
    "benchmarks/equality.py",
)
"""Modules whose strings are data: words of drawn captions, templates, settings of old commits."""


class Finding(NamedTuple):
    """A banned word or phrase, and where it is."""

    file: Path
    line: int
    kind: str
    text: str
    instead: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}: «{self.text}»; instead: {self.instead}"


@cache
def banned(kind: str) -> dict[str, str]:
    """What to write instead of each banned word, from the table of the glossary."""
    section = GLOSSARY.read_text("utf-8").split(f"\n## Banned in {kind}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)[1:]
    return {word.strip().lower(): instead for words, instead in rows for word in words.split(",")}


def findings(root: Path) -> list[Finding]:
    """Every banned word in the names and prose of a checkout."""
    found = []
    for path in sorted(root.glob("src/groupvit/**/*.py")):
        found += _in_module(path.relative_to(root), path.read_text("utf-8"))
    for path in sorted(root.glob("benchmarks/*.py")):
        module = _in_module(path.relative_to(root), path.read_text("utf-8"))
        found += [finding for finding in module if finding.kind != NAMES]
    for path in [*root.glob("*.md"), *root.glob("docs/*.md")]:
        if path.name != GLOSSARY.name:
            found += _in_page(path.relative_to(root), path.read_text("utf-8"))
    return found


def _in_module(file: Path, text: str) -> Iterator[Finding]:
    tree, is_data = ast.parse(text), str(file).endswith(DATA)
    for name, line in sorted(set(names(tree)), key=lambda named: named[1]):
        for word, instead in banned(NAMES).items():
            if f"_{word}_" in f"_{'_'.join(words_of(name))}_" and not is_data:
                yield Finding(file, line, NAMES, name, instead)
    for docstring, line in docstrings(tree):
        for number, opening in openings(docstring):
            if opening.lower() in banned(OPENINGS):
                yield Finding(
                    file, line + number, OPENINGS, opening, banned(OPENINGS)[opening.lower()]
                )
    if not is_data:
        for prose, line in [*strings(tree), *comments(text)]:
            yield from _in_prose(file, line, prose)


def _in_page(file: Path, text: str) -> Iterator[Finding]:
    """In a page without its code blocks, code spans and addresses."""
    blank = re.sub(
        r"^```.*?^```|`[^`\n]*`|\]\([^)]*\)|https?://\S+",
        lambda code: re.sub(r"[^\n]", " ", code[0]),
        text,
        flags=re.MULTILINE | re.DOTALL,
    )
    yield from _in_prose(file, 1, blank)


def _in_prose(file: Path, line: int, prose: str) -> Iterator[Finding]:
    for phrase, instead in banned(PROSE).items():
        pattern = r"\s+".join(phrase.split())
        for match in re.finditer(rf"\b{pattern}\b", prose, re.IGNORECASE):
            number = line + prose.count("\n", 0, match.start())
            yield Finding(file, number, PROSE, " ".join(match[0].split()), instead)


def names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Public names that people read or type, with their lines.

    Functions, classes, methods, their parameters (the options of commands), fields of classes
    (settings), constants, keys of dictionaries (reports, the API) and the choices of `Literal`.
    """
    for name, line in _names(tree):
        if not name.startswith("_"):
            yield name, line


def _names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    bodies = [tree.body, *(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    for statement in (statement for body in bodies for statement in body):
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                yield name, statement.lineno
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node.lineno
                if not node.name.startswith("_") or node.name == "__init__":
                    parameters = node.args
                    every = [*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs]
                    yield from ((parameter.arg, parameter.lineno) for parameter in every)
            case ast.ClassDef():
                yield node.name, node.lineno
            case ast.Dict(keys=keys):
                yield from ((key.value, key.lineno) for key in keys if _is_name(key))
            case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
                every = ast.walk(choices)
                yield from ((choice.value, choice.lineno) for choice in every if _is_name(choice))


def _is_name(node: ast.AST | None) -> bool:
    """Whether a node is a string that could be the key of a report or a choice of an option."""
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", node.value) is not None
    )


def words_of(name: str) -> list[str]:
    """Lower-case words of a name: `by_patch`, `by-patch` and `ByPatch` are by and patch."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)]


def docstrings(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Docstrings of modules, classes, functions and, below them, fields; with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield text, node.lineno


def openings(docstring: str) -> Iterator[tuple[int, str]]:
    """First word of a docstring and of each described argument, with lines from its beginning."""
    if first := re.match(r"\s*(\w+)", docstring):
        yield 0, first[1]
    for match in re.finditer(r"^ +\w+: (\w+)", docstring, re.MULTILINE):
        yield docstring.count("\n", 0, match.start()), match[1]


def strings(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Sentences in a module: docstrings, help, messages, and what pages show."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if " " in text.strip():
                yield text, node.lineno


def comments(text: str) -> Iterator[tuple[str, int]]:
    """Comments of a module."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string, token.start[0]


def package(finding: Finding) -> str:
    """Part of the project that a finding belongs to: src/groupvit/cli, docs, benchmarks."""
    return "/".join(finding.file.parts[:-1][:3]) or "."


def main() -> None:
    """Write all findings of a checkout and their number by package to the standard output."""
    found = findings(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
    table = Counter((package(finding), finding.kind) for finding in found)
    rows = [f"{part:30} {kind:12} {number:4}" for (part, kind), number in sorted(table.items())]
    lines = [*map(str, found), *rows, f"{'total':43} {len(found):4}"]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
