"""Functions of ours that four tasks enter, counted by a trace.

    python benchmarks/walks.py                       # of this checkout
    python benchmarks/walks.py --source ../other --list

The tasks, each a command of the public interface in a process of its own, on the bundled model:

image → PNG         `groupvit segment` of one image by four labels, written as an index PNG
caption → gradient  `groupvit train` by configs/storybook-quick.toml: one step on 8 pairs of a
                    shard, loaded in the main process, logged and saved
mask → report       `groupvit evaluate` of a folder of 4 images with masks, with --out
request → answer    `POST /v1/segment` to `groupvit serve`, the second one: words are known

A function counts once, however often it is entered. The count is of code objects whose file lies
under src/groupvit: functions, methods, lambdas and, which Python below 3.12 compiles as functions
of their own, comprehensions and generator expressions; bodies of modules and of classes do not
count, nor do compiled templates of HTML and what `dataclass` and `NamedTuple` generate.
Functions that run while a module is imported by the command count; those that run when the command
line itself is imported do not.
By this rule commit 773ec7b has 268, 353, 433 and 142 with Python 3.11; the figures that the goals
were set from (274, 348, 440, 130) were counted by a rule close to it. The table also has the count
without comprehensions, which depends less on the version of Python.

With --list it prints the functions of each task in the order in which they are first entered, and
the calls that turn back: from a layer of the import contract in pyproject.toml into a higher one,
whatever code of others lies between. Functions that are handed down, such as a callback that moves
a progress bar, are among them; checks of a dataclass in `__post_init__` are not.
"""

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import checkouts

LABELS = ("boat", "sea", "sky", "house")
IMAGE = "examples/harbour.png"
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
IS_FUNCTION = 0x1  # CO_OPTIMIZED: bodies of modules and classes lack it


class Entry(NamedTuple):
    """A function that a task has entered."""

    module: str
    name: str
    line: int
    caller: str
    """The function of ours that entered it first."""

    @property
    def is_comprehension(self) -> bool:
        """True for a comprehension or generator expression."""
        return self.name.endswith(COMPREHENSIONS)


class Trace:
    """Entries into functions below a folder, in all threads, while it records."""

    def __init__(self, package: Path) -> None:
        self._prefix = f"{package}{os.sep}"
        self.is_recording = False
        self.entered: dict[CodeType, CodeType | None] = {}
        """Every function, in the order of first entry, with its first caller."""
        self.calls: set[tuple[CodeType, CodeType]] = set()
        """All pairs of caller and function."""

    def install(self) -> None:
        """Watch this thread and all that start from now on."""
        threading.setprofile(self._watch)
        sys.setprofile(self._watch)

    def _watch(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not self.is_recording or not self._is_ours(code):
            return
        if not code.co_flags & IS_FUNCTION:
            return
        outer = frame.f_back
        while outer is not None and not self._is_ours(outer.f_code):
            outer = outer.f_back
        caller = None if outer is None else outer.f_code
        self.entered.setdefault(code, caller)
        if caller is not None:
            self.calls.add((caller, code))

    def _is_ours(self, code: CodeType) -> bool:
        return code.co_filename.startswith(self._prefix) and code.co_filename.endswith(".py")

    def _entry(self, code: CodeType, caller: CodeType | None) -> Entry:
        by = "" if caller is None else f"{self._module(caller)}:{caller.co_qualname}"
        return Entry(self._module(code), code.co_qualname, code.co_firstlineno, by)

    def _module(self, code: CodeType) -> str:
        inside = code.co_filename.removeprefix(self._prefix).removesuffix(".py")
        return inside.replace(os.sep, ".").removesuffix(".__init__")

    def values(self) -> dict[str, Any]:
        """Entries, and all pairs of caller and function, as values for JSON."""
        return {
            "entries": [self._entry(*pair) for pair in self.entered.items()],
            "calls": sorted(self._entry(function, caller) for caller, function in self.calls),
        }


def segment(trace: Trace, folder: Path) -> None:
    """Segment an image by the command line."""
    arguments = ("segment", IMAGE, "--labels", *LABELS, "--model", "storybook")
    command(trace, *arguments, "--format", "index", "--out", str(folder / "out"))


def train(trace: Trace, folder: Path) -> None:
    """Do one step of training."""
    settings = str(checkouts.SETTINGS)
    options = json.loads((folder / "options.json").read_text())
    command(trace, "train", settings, *options)


def evaluate(trace: Trace, folder: Path) -> None:
    """Evaluate the model on a folder of drawn scenes."""
    given = (str(folder / "scenes" / "test"), "--model", "storybook", "--out", str(folder / "out"))
    command(trace, "evaluate", *given)


def serve(trace: Trace, _: Path) -> None:
    """Answer two requests over the loopback, and record the second one."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    client = threading.Thread(target=ask, args=(trace, f"http://127.0.0.1:{port}"))
    client.start()
    command(None, "serve", "--model", "storybook", "--port", str(port))
    client.join()


def ask(trace: Trace, url: str) -> None:
    """Send the requests, then end the server as Ctrl-C does."""
    while True:
        try:
            schema = json.loads(urllib.request.urlopen(f"{url}/openapi.json").read())
            break
        except OSError:
            time.sleep(0.2)
    request = urllib.request.Request(
        f"{url}/v1/segment",
        data=form(file_field(schema)),
        headers={"Content-Type": "multipart/form-data; boundary=edge"},
    )
    for is_last in (False, True):
        trace.is_recording = is_last
        urllib.request.urlopen(request).read()
        time.sleep(0.5)  # until the server has counted the request
    trace.is_recording = False
    os.kill(os.getpid(), signal.SIGINT)


def file_field(schema: dict[str, Any]) -> str:
    """Name of the form field that takes the image."""
    content = schema["paths"]["/v1/segment"]["post"]["requestBody"]["content"]
    name = content["multipart/form-data"]["schema"]["$ref"].rsplit("/", 1)[-1]
    required: list[str] = schema["components"]["schemas"][name]["required"]
    return next(field for field in required if field != "labels")


def form(file: str) -> bytes:
    """Body of a request."""
    head = '--edge\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    parts = [head.format(file, '; filename="a.png"').encode() + Path(IMAGE).read_bytes()]
    parts += [(head.format("labels", "") + label).encode() for label in LABELS]
    return b"\r\n".join([*parts, b"--edge--\r\n"])


def command(trace: Trace | None, *arguments: str) -> None:
    """Run a command in this process, recorded if there is a trace."""
    from groupvit.cli import main

    if trace:
        trace.is_recording = True
    code = main(arguments)
    if trace:
        trace.is_recording = False
    if code not in (0, 130):
        raise SystemExit(f"groupvit {' '.join(arguments)} ended with {code}")


class Task(NamedTuple):
    """One way through the package."""

    title: str
    goal: int
    """Most functions that it should enter."""
    run: Callable[[Trace, Path], None]


TASKS = {
    "segment": Task("image → PNG", 150, segment),
    "train": Task("caption → gradient", 200, train),
    "evaluate": Task("mask → report", 250, evaluate),
    "serve": Task("request → answer", 100, serve),
}


def traced(source: Path, task: str) -> dict[str, Any]:
    """Trace of a task in a new process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes = checkouts.draw_scenes(source, folder / "scenes", num=64, test=4)
        if task == "train":
            (folder / "options.json").write_text(json.dumps(one_step(source, scenes, folder)))
        inner = ("--source", str(source), "--trace", task, "--folder", name)
        checkouts.run(source, str(Path(__file__).resolve()), *inner)
        values: dict[str, Any] = json.loads((folder / "trace.json").read_text())
        return values


def one_step(source: Path, scenes: Path, folder: Path) -> list[str]:
    """Options that make a training one step long."""
    return checkouts.train_options(
        source,
        checkouts.SETTINGS,
        {
            ("--data.shards",): [str(scenes / "pairs" / "storybook-000000.tar")],
            ("--out",): [str(folder / "run")],
            ("--steps",): ["1"],
            ("--optim.warmup-steps",): ["0"],
            ("--data.batch-size",): ["8"],
            ("--data.num-workers",): ["0"],
            ("--evaluate-folder",): [""],
            ("--log-every",): ["1"],
        },
    )


def layers(source: Path) -> dict[str, int]:
    """Height of every module right below the package, 0 for the lowest."""
    contracts = tomllib.loads((source / "pyproject.toml").read_text())["tool"]["importlinter"]
    ordered = next(one["layers"] for one in contracts["contracts"] if one["type"] == "layers")
    return {
        name.strip(" ()"): height
        for height, layer in enumerate(reversed(ordered))
        for name in layer.replace(":", "|").split("|")
    }


def turns(values: dict[str, Any], heights: dict[str, int]) -> Iterator[str]:
    """Calls from a layer into a higher one."""
    for entry in (Entry(*one) for one in values["calls"]):
        above = heights.get(entry.module.split(".")[0], -1)
        below = heights.get(entry.caller.split(":")[0].split(".")[0], len(heights))
        if below < above and not entry.name.endswith("__post_init__"):
            yield f"{entry.caller} → {entry.module}:{entry.name}"


def show(title: str, entries: list[Entry], back: list[str]) -> None:
    """Print the functions of a task and its calls that turn back."""
    print(f"\n{title}: {len(entries)}\n")
    for number, entry in enumerate(entries, start=1):
        print(f"{number:4}  {entry.module}:{entry.name}, line {entry.line}  ← {entry.caller}")
    print(f"\n{title}: {len(back)} calls turn back\n")
    for line in back:
        print(f"      {line}")


def main() -> None:
    """Print a table, and with --list the functions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--task", choices=TASKS, nargs="+", default=list(TASKS))
    parser.add_argument("--list", action="store_true", help="print the functions too")
    parser.add_argument("--trace", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    source: Path = given.source.resolve()
    if given.trace:
        trace = Trace(source / "src" / "groupvit")
        trace.install()
        TASKS[given.trace].run(trace, given.folder)
        (given.folder / "trace.json").write_text(json.dumps(trace.values()))
        return
    rows, heights = [], layers(source)
    for name in given.task:
        task, values = TASKS[name], traced(source, name)
        entries, back = [Entry(*one) for one in values["entries"]], list(turns(values, heights))
        if given.list:
            show(task.title, entries, back)
        named = [entry for entry in entries if not entry.is_comprehension]
        rows.append((task.title, len(entries), task.goal, len(named), len(back)))
    print("\n| task | functions | goal | without comprehensions | calls that turn back |")
    print("|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
