"""Mistakes of a user's program: `InputError` with a sentence, never another exception."""

import json
import subprocess
import sys

PROGRAM = """
import json, sys
import numpy as np
from groupvit import Background, InputError, Segmenter

segmenter = Segmenter.load("storybook")
image = np.zeros((20, 20, 3), np.uint8)
none = [None, 5, [1, 2], [None], [b"dog"], [["dog"]], "dog", b"dog", np.float32(3), np.array(2)]
backgrounds = ["aut", ["sky"], True, float("nan"), 5, {"dog": 0.5}, object()]
settings = [
    {"threshold": "0.2"}, {"words": "sky"}, {"words": [1]}, {"words": None},
    {"thresholds": [("dog", 0.5)]}, {"thresholds": {"dog": "half"}}, {},
]
calls = {
    "labels": [lambda x=x: segmenter(image, x) for x in none],
    "words": [lambda x=x: segmenter.embed_words(x) for x in [*none, []]],
    "background": [lambda x=x: segmenter(image, ["dog"], background=x) for x in backgrounds]
    + [lambda x=x: Background(**x) for x in settings],
    "top_labels": [
        lambda x=x: segmenter(image, ["dog"], top_labels=x) for x in ["five", 0, 1.5, []]
    ],
    "model": [lambda x=x: Segmenter.load(x) for x in [None, 5, ["storybook"]]],
    "protocol": [lambda x=x: Segmenter.load("storybook", protocol=x) for x in [None, 5, ["ours"]]],
    "batch_size": [lambda x=x: Segmenter.load("storybook", batch_size=x) for x in ["8", None, 0]],
    "dtype": [lambda x=x: Segmenter.load("storybook", dtype=x) for x in [None, 32, "float"]],
    "image": [lambda x=x: segmenter(x, ["dog"]) for x in [None, 5, b"data", iter([image])]],
}
found = {}
for name, tried in calls.items():
    found[name] = []
    for call in tried:
        try:
            call()
            found[name].append("nothing was refused")
        except Exception as error:
            found[name].append([type(error).__name__, str(error)])
print(json.dumps(found))
"""


def test_mistakes_in_a_program_are_refused_in_a_sentence():
    """In a process of its own, since in tests the types of all arguments are checked."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert sum(map(len, found.values())) == 55
    for name, refusals in found.items():
        for kind, sentence in refusals:
            assert kind == "InputError", sentence
            assert name in sentence, sentence
            assert "\n" not in sentence
