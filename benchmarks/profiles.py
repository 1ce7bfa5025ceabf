"""Time by operation, for one image and for one training step."""

from collections.abc import Iterator

import torch
from torch.profiler import profile

from benchmarks.contest import Run, markdown
from benchmarks.learning import PAIRS, drawn_batch, our_step, plain_step
from benchmarks.segmenting import BEHIND, mixed, noise, peer, plainly
from groupvit.segmentation.protocol import GROUPVIT
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.prompts import imagenet_classes
from groupvit.weights import catalogue

SHOWN = 12
WORDS = 59


def tables(rounds: int) -> Iterator[tuple[str, str]]:
    """Tables with their names: plain implementations and ours side by side."""
    model = catalogue.load("random").model
    image, words = noise(480, 640), list(imagenet_classes()[:WORDS])
    exact = Segmenter(model, protocol=GROUPVIT)
    lower = Segmenter(model, protocol=GROUPVIT, dtype="bfloat16")
    texts = exact.embed_words(words).float()
    plain = mixed(exact, lambda: plainly(model, image, texts))
    ours = lambda segmenter: lambda: segmenter(image, words, background=BEHIND)  # noqa: E731
    yield (
        "profile segmenting",
        beside({"plain": plain, "ours": ours(exact), "ours, bfloat16": ours(lower)}, rounds),
    )
    batch, port = drawn_batch(PAIRS), peer(exact).model
    steps = {
        "plain loop": plain_step(port, batch, torch.bfloat16),
        "ours": our_step(model, batch, torch.bfloat16),
    }
    yield "profile training", beside(steps, rounds)


def beside(runs: dict[str, Run], rounds: int) -> str:
    """Table of milliseconds by operation, ordered by the first run."""
    spent = {name: profiled(run, rounds) for name, run in runs.items()}
    first = next(iter(spent.values()))
    names = sorted(set().union(*spent.values()), key=lambda name: -first.get(name, 0))
    rest = names[SHOWN:]
    rows = [
        [f"`{name}`", *(f"{some.get(name, 0):.0f}" for some in spent.values())]
        for name in names[:SHOWN]
    ]
    others = (sum(some.get(name, 0) for name in rest) for some in spent.values())
    rows.append(["all others", *(f"{time:.0f}" for time in others)])
    rows.append(["**total**", *(f"**{sum(some.values()):.0f}**" for some in spent.values())])
    return markdown(("[ms]", *runs), rows)


def profiled(run: Run, rounds: int) -> dict[str, float]:
    """Mean self time of the operations of a run [ms]."""
    for _ in range(2):
        run()
    with profile() as found:
        for _ in range(rounds):
            run()
    return {
        event.key.removeprefix("aten::"): event.self_cpu_time_total / 1000 / rounds
        for event in found.key_averages()
    }
