"""Build the site of the documentation; a warning, such as a link that leads nowhere, is an error.

python scripts/build_site.py    # into out/site

Pages are those of docs/, some files of the repository, and three that are generated here: Python by
docstrings (mkdocstrings), commands by their parsers, settings by the fields of dataclasses.
"""

import argparse
import ast
import inspect
import os
import posixpath
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import tyro

from groupvit.cli import COMMANDS, GROUPS
from groupvit.data.packing import PackingConfig
from groupvit.training.config import TrainingConfig

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "out" / "site-source"
ROOT_PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Files of the repository that are pages of the site."""
API = {
    "Segment": (
        "groupvit.Segmenter",
        "groupvit.Segmentation",
        "groupvit.Background",
        "groupvit.segmentation.groups.GroupedImage",
        "groupvit.segmentation.groups.GroupedWindow",
        "groupvit.segmentation.folder",
        "groupvit.segmentation.protocol.Protocol",
        "groupvit.imaging.read",
        "groupvit.visualization.overlay",
    ),
    "Network": (
        "groupvit.GroupViT",
        "groupvit.model.config",
        "groupvit.model.grouping",
        "groupvit.model.inference.InferenceConfig",
    ),
    "Models and training": (
        "groupvit.weights.catalogue.load",
        "groupvit.training.trainer.train",
        "groupvit.training.config",
    ),
    "Errors": ("groupvit.InputError",),
}
"""Names that the reference of Python lists, by its headings."""


def repository() -> str:
    """Address of the repository, from pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return str(settings["project"]["urls"]["Repository"])


def relinked(text: str, place: str, pages: dict[str, str]) -> str:
    """Markdown whose links to pages of the site fit there, and others lead to the repository.

    Args:
        text: Content of the page.
        place: Path of the page in the repository.
        pages: Path in the site of every file of the repository that is in it.
    """
    own = posixpath.dirname(pages[place])

    def replaced(match: re.Match[str]) -> str:
        target, hash_sign, anchor = match[1].partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
        if path in pages:
            return f"]({posixpath.relpath(pages[path], own or '.')}{hash_sign}{anchor})"
        return f"]({repository()}/blob/main/{path}{hash_sign}{anchor})"

    return re.sub(r"\]\((?!\w+://|#|mailto:)([^)\s]+)\)", replaced, text)


def copy_pages() -> None:
    """Copy docs/ and the pages of the root."""
    files = [path.relative_to(ROOT) for path in sorted((ROOT / "docs").rglob("*"))]
    pages = {path.as_posix(): path.relative_to("docs").as_posix() for path in files} | ROOT_PAGES
    for name, target in pages.items():
        source, out = ROOT / name, SOURCE / target
        if source.is_dir():
            continue
        out.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            out.write_text(relinked(source.read_text("utf-8"), name, pages), "utf-8")
        else:
            shutil.copy(source, out)


def python_page() -> str:
    """Reference of Python, which mkdocstrings fills."""
    lines = ["# Python", "", "Names of the package by their docstrings.", ""]
    for title, names in API.items():
        lines += [f"## {title}", ""]
        for name in names:
            lines += [f"::: {name}", "    options:", "      heading_level: 3", ""]
    return "\n".join(lines)


def commands_page() -> str:
    """Reference of the commands, by their parsers."""
    lines = ["# Commands", "", "`groupvit COMMAND --help` shows the same.", ""]
    for name in COMMANDS:
        parser = parser_of(name)
        lines += [f"## {name}", "", textwrap.dedent(parser.description or "").strip(), ""]
        lines += [*table(("option", "meaning"), options(parser)), ""]
    assert {one for lines in GROUPS.values() for line in lines for one in line.split()} == set(
        COMMANDS
    )
    return "\n".join(lines)


def command(name: str) -> Callable[..., int]:
    """Function of a command."""
    module = import_module(f"groupvit.cli.{name.replace('-', '_')}")
    made: Callable[..., int]
    made = module.command([]) if name in ("train", "plan") else vars(module)[name.replace("-", "_")]
    return made


def parser_of(name: str) -> argparse.ArgumentParser:
    """Parser of a command."""
    with warnings.catch_warnings():
        # tyro will drop this function; only its own help then knows what it parses.
        warnings.simplefilter("ignore", DeprecationWarning)
        return tyro.extras.get_parser(command(name), prog=f"groupvit {name}")


def options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Arguments of a parser, with what they mean and their defaults."""
    for action in parser._actions:
        if "--help" in action.option_strings:
            continue
        given = action.metavar if isinstance(action.metavar, str) else ""
        names = ", ".join(f"`{name}`" for name in action.option_strings)
        shown = f"{names} `{given}`" if names and given else names or f"`{given or action.dest}`"
        yield shown, re.sub(r"\x1b\[[0-9;]*m", "", str(action.help or ""))


def settings_page() -> str:
    """Reference of the settings, by the fields of their dataclasses."""
    lines = [
        "# Settings",
        "",
        "Settings of a TOML file for `groupvit train`, and options of the same",
    ]
    lines += [
        "names: `--data.batch-size 64`. Recipes change many; `groupvit recipes` lists them.",
        "",
    ]
    for title, kind in {"Training": TrainingConfig, "Packing": PackingConfig}.items():
        for path, config in tables(kind, ""):
            heading = f"{title}: `{path}`" if path else title
            lines += [f"## {heading}", "", (inspect.getdoc(config) or "").partition("\n\n")[0], ""]
            lines += [*table(("setting", "type", "default", "meaning"), rows(config)), ""]
    return "\n".join(lines)


def tables(kind: type, path: str) -> Iterator[tuple[str, type]]:
    """A dataclass of settings and those of its fields, with their paths."""
    yield path, kind
    hints = get_type_hints(kind)
    for field in fields(kind):
        if is_dataclass(hints[field.name]):
            inner = f"{path}.{field.name}" if path else field.name
            yield from tables(hints[field.name], inner)  # type: ignore[arg-type]


def rows(config: type) -> Iterator[tuple[str, str, str, str]]:
    """Fields of a dataclass: name, type, default and meaning; without tables of settings."""
    meanings, hints = described(config), get_type_hints(config)
    for field in fields(config):
        kind = hints[field.name]
        if is_dataclass(kind):
            continue
        name = kind.__name__ if isinstance(kind, type) else str(kind)
        short = re.sub(r"\b(typing|pathlib|groupvit(\.\w+)*)\.", "", name)
        yield f"`{field.name}`", f"`{short}`", default(field), meanings.get(field.name, "")


def default(field: Field[Any]) -> str:
    """Default of a field as the page shows it."""
    if field.default is not MISSING:
        return f"`{field.default!r}`"
    return "" if field.default_factory is MISSING else f"`{field.default_factory()!r}`"


def described(config: type) -> dict[str, str]:
    """Text below each field of a dataclass."""
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for one, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(one, ast.AnnAssign) and isinstance(after, ast.Expr):
            found[ast.unparse(one.target)] = str(ast.literal_eval(after.value))
    return found


def table(head: tuple[str, ...], body: Iterator[tuple[str, ...]]) -> list[str]:
    """Lines of a table in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for cells in body:
        plain = (" ".join(cell.replace("|", "\\|").split()) for cell in cells)
        lines.append(f"| {' | '.join(plain)} |")
    return lines


def main(out: Path = ROOT / "out" / "site") -> int:
    """Build the site; returns the exit code of MkDocs."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    copy_pages()
    (SOURCE / "reference").mkdir()
    for name, page in (
        ("python", python_page()),
        ("commands", commands_page()),
        ("settings", settings_page()),
    ):
        (SOURCE / "reference" / f"{name}.md").write_text(page, "utf-8")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(out),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
