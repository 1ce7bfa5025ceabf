"""The commands of a page: split, made small, run or only parsed in this process."""

import argparse
import functools
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import tyro

from groupvit.cli import main

ROOT = Path(__file__).parents[2]

AT_MOST = {"--num": 80, "--test": 4, "--scenes": 3, "--steps": 6}
"""The numbers of a page are for readers; tests take fewer."""
ALSO = {
    "storybook": ("--test", "4", "--workers", "1"),
    "train": ("--steps", "6", "--optim.warmup-steps", "2", "--data.batch-size", "4"),
    "plan": ("--data.batch-size", "8"),
}
"""Options that a command of a page gets where it does not have them."""
SHARD_SIZE = 5000
"""The default of `groupvit storybook`."""
INSTALLS = ("git", "cd", "make", "pip")
"""Programs that continuous integration itself runs, before the tests."""
OTHERS = ("cvat-cli", "curl", "docker", "export", "hf")
"""Programs of others in blocks that are not run."""


def split(block):
    """The commands of a block, each as text and as words; one may go over several lines."""
    begun = ""
    for line in block.replace("\\\n", " ").splitlines():
        begun += line + "\n"
        try:
            words = shlex.split(begun, comments=True)
        except ValueError:  # a quotation that goes on
            continue
        if words:
            yield begun, words
        begun = ""
    assert not begun, begun


def small(words):
    """A command of `groupvit` with fewer images, scenes and steps, in as many files."""
    name, *given = words
    found, added = [name], iter(ALSO.get(name, ()))
    for before, word in zip(words, given, strict=False):
        found.append(str(min(int(word), AT_MOST[before])) if before in AT_MOST else word)
        if before == "--num":
            shards = -(-int(word) // SHARD_SIZE)
            found += ["--shard-size", str(-(-int(found[-1]) // shards))]
    for option, value in zip(added, added, strict=True):
        if option not in found:
            found += [option, value]
    return found


def run(block):
    """Runs the commands of a block; one that fails, fails the test."""
    for text, words in split(block):
        program = words[0]
        if program == "groupvit":
            assert main(small(words[1:])) == 0, text
        elif words[:2] == ["python", "-c"]:
            exec(compile(words[2], text, "exec"), {"__name__": "__main__"})
        elif program not in INSTALLS and not text.startswith("python benchmarks/"):
            subprocess.run(["bash", "-euc", text], check=True)


class Parsed(Exception):  # noqa: N818 - nothing is wrong
    """Ends a program whose arguments fit."""


def parse(block, monkeypatch):
    """Parses the commands of a block as their programs would, which then do nothing."""
    for text, words in split(block):
        if "groupvit" in words:  # perhaps behind torchrun
            parse_groupvit(text, words[words.index("groupvit") + 1 :], monkeypatch)
        elif words[0] == "python" and words[1].startswith("benchmarks/"):
            parse_benchmark(words[1:], monkeypatch)
        elif words[0] == "pip":
            check_extras(text)
        else:
            assert words[0] in (*INSTALLS, *OTHERS, "python"), text


def parse_groupvit(text, words, monkeypatch):
    whole, parsed = tyro.cli, []

    def parse_only(command, **options):
        def idle(*_given, **_options):
            parsed.append(command)
            return 0

        return whole(functools.wraps(command)(idle), **options)

    with monkeypatch.context() as patched:
        patched.setattr(tyro, "cli", parse_only)
        assert main(words) == 0, text
    assert parsed, f"this ran: {text}"


def parse_benchmark(words, monkeypatch):
    whole = argparse.ArgumentParser.parse_args

    def parse_only(parser, *given):
        whole(parser, *given)
        raise Parsed

    with monkeypatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, "parse_args", parse_only)
        patched.setattr(sys, "argv", words)
        patched.syspath_prepend(ROOT / "benchmarks")
        try:
            runpy.run_path(str(ROOT / words[0]), run_name="__main__")
        except Parsed:
            return
        raise AssertionError(f"{words[0]} does not read its arguments")


def check_extras(text):
    """What `pip install` names of ours exists."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for names in re.findall(r"(?:groupvit|\.)\[([a-z,]+)\]", text):
        assert set(names.split(",")) <= set(known["optional-dependencies"]), text
