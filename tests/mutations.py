"""Changed files: bytes changed, cut or repeated, and values replaced by awkward ones."""

import json
import random

HOSTILE_VALUES = (
    *("9" * 5000, "9" * 400, "1e999", "-1", "0", "NaN", "null", "true", "[]", "{}", '""'),
    *("[" * 90 + "]" * 90, "[" * 9000 + "]" * 9000, "[" * 100_000, '{"a":' * 9000, '"\\u0000"'),
    *(
        '"\\ud800"',
        '"a\\nb"',
        "10000000",
        "99999999999999999999",
        '"' + "x" * 9000 + '"',
        "[[[1]]]",
    ),
)


def mutations(content, seed, number):
    """Versions of a file with bytes changed, cut, repeated, or replaced by what is awkward."""
    rng = random.Random(seed)
    for _ in range(number):
        changed = bytearray(content)
        for _ in range(rng.choice((1, 1, 2, 8))):
            place, length = rng.randrange(len(changed) + 1), rng.choice((1, 1, 4, 8, 40))
            kind = rng.randrange(5)
            if kind == 0:
                changed[place : place + length] = rng.randbytes(length)
            elif kind == 1:
                del changed[place : place + length]
            elif kind == 2:
                changed[place:place] = changed[place : place + length] * rng.choice((1, 2, 50))
            elif kind == 3:
                changed[place : place + length] = rng.choice((b"\0", b"\xff", b"9")) * length
            elif changed:
                del changed[place or 1 :]
        yield bytes(changed)


def json_mutations(text, seed, number):
    """Versions of a JSON text, most of which are JSON with one value replaced."""
    yield from mutations(text.encode(), seed, number // 2)
    rng = random.Random(seed)
    values = json.loads(text)
    for _ in range(number // 2):
        changed = json.loads(text)
        table, key = rng.choice(list(places(changed)))
        table[key] = "REPLACED"
        yield json.dumps(changed).replace('"REPLACED"', rng.choice(HOSTILE_VALUES)).encode()
    assert values == json.loads(text)


def places(values):
    """Every place in nested lists and tables."""
    for key in list(values) if isinstance(values, dict) else range(len(values)):
        yield values, key
        if isinstance(values[key], (dict, list)):
            yield from places(values[key])
