"""Benchmarks, most of which no test runs, import only names that exist."""

import ast
from importlib import import_module

import pytest

from tests.words import ROOT

FILES = sorted((ROOT / "benchmarks").glob("*.py"))


def defined(file):
    """Names at the top of a module, without importing what only benchmarks need."""
    found = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Assign(targets=targets):
                found |= {x.id for x in ast.walk(ast.Tuple(targets)) if isinstance(x, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                found |= {alias.asname or alias.name for alias in names}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_names_that_a_benchmark_imports_exist(file):
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.ImportFrom(module=module, names=names) if module.startswith("groupvit"):
                package = import_module(module)
                for alias in names:
                    if not hasattr(package, alias.name):
                        import_module(f"{module}.{alias.name}")
            case ast.ImportFrom(module="benchmarks", names=names):
                assert {alias.name for alias in names} <= {other.stem for other in FILES}
            case ast.ImportFrom(module=module, names=names) if module.startswith("benchmarks."):
                other = ROOT / f"{module.replace('.', '/')}.py"
                assert {alias.name for alias in names} <= defined(other)
