"""Varied captions of a scene: each names a random selection of its things and stuff."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from groupvit.storybook.pen import Light

THING_PROBABILITY = 0.9
STUFF_PROBABILITY = 0.8
"""Probability that a caption names a visible kind of thing, or a visible stuff."""


class Subject(NamedTuple):
    """A visible kind of thing, or a visible stuff."""

    name: str
    number: int
    """Number of things; 0 for stuff."""
    adjectives: tuple[str, ...]
    """Adjectives that fit all of them."""
    ground: str
    """Stuff that they all stand on; empty if it differs."""


_ON: dict[str, tuple[str, ...]] = {
    "sky": ("in {}", "up in {}", "high in {}"),
    "grass": ("on {}", "in {}"),
    "sand": ("on {}", "in {}"),
    "sea": ("on {}", "in {}", "out on {}"),
    "snow": ("in {}", "on {}"),
    "road": ("on {}", "next to {}"),
    "wall": ("in front of {}", "by {}", "against {}"),
    "floor": ("on {}",),
}
_SPECIAL: dict[tuple[str, str], tuple[str, ...]] = {
    ("balloon", "sea"): ("over {}", "above {}"),
    ("balloon", "grass"): ("over {}", "above {}"),
    ("balloon", "snow"): ("over {}", "above {}"),
    ("balloon", "floor"): ("over {}", "above {}"),
    ("car", "road"): ("on {}", "driving along {}", "parked on {}"),
    ("boat", "sea"): ("on {}", "sailing on {}", "out on {}"),
    ("fish", "sea"): ("in {}", "swimming in {}"),
    ("bird", "sky"): ("in {}", "flying in {}", "high in {}"),
    ("apple", "floor"): ("on {}", "lying on {}"),
    ("apple", "grass"): ("in {}", "lying on {}"),
    ("fish", "sand"): ("on {}", "lying on {}"),
    ("flower", "grass"): ("in {}", "growing in {}"),
    ("mushroom", "grass"): ("in {}", "growing in {}"),
}
_UPRIGHT = ("tree", "house", "chair", "lamp", "bird", "mushroom", "flower")
_STANDING: dict[str, str] = {
    "grass": "standing on {}",
    "sand": "standing on {}",
    "snow": "standing in {}",
    "road": "standing on {}",
    "floor": "standing on {}",
    "wall": "standing by {}",
}
_BESIDES: dict[str, tuple[str, ...]] = {
    "sky": ("under {}", "below {}", "with {} above", "and {}"),
    "grass": ("with {}", "and {}", "near {}"),
    "sand": ("with {}", "and {}", "near {}"),
    "sea": ("by {}", "near {}", "with {} behind", "and {}"),
    "snow": ("with {}", "and {}", "near {}"),
    "road": ("near {}", "by {}", "with {}"),
    "wall": ("by {}", "near {}", "with {} behind", "and {}"),
    "floor": ("with {}", "and {}", "in a room with {}"),
}
_OPENINGS = (
    ("", 10),
    ("a drawing of ", 2),
    ("a picture of ", 2),
    ("a painting of ", 1),
    ("a view of ", 1),
    ("an illustration of ", 1),
    ("we see ", 1),
    ("you can see ", 1),
    ("my drawing of ", 1),
    ("look at ", 1),
)
_TIMES: dict[Light, tuple[str, ...]] = {
    "day": ("by day", "during the day", "on a bright day", "in the morning"),
    "dusk": ("in the evening", "at dusk", "late in the day"),
    "night": ("at night", "in the dark", "late at night", "after dark"),
}
_NUMBERS = {2: ("two", "two", "a pair of", "some"), 3: ("three", "three", "some", "several")}
_UNCOUNTED = ("grass", "sand", "snow")
_ONE_OF_ITS_KIND = ("sky", "sea", "sun", "moon")
_OPENING_TEXTS = tuple(text for text, _ in _OPENINGS)
_OPENING_WEIGHTS = tuple(weight for _, weight in _OPENINGS)


def write_captions(
    subjects: Sequence[Subject], light: Light, rng: random.Random, count: int
) -> tuple[str, ...]:
    """Captions of a scene; each names at least one subject."""
    return tuple(_caption(subjects, light, rng) for _ in range(count))


def _caption(subjects: Sequence[Subject], light: Light, rng: random.Random) -> str:
    chances = [THING_PROBABILITY if one.number else STUFF_PROBABILITY for one in subjects]
    named = [one for one, chance in zip(subjects, chances, strict=True) if rng.random() < chance]
    named = named or [rng.choice(subjects)]
    rng.shuffle(named)
    if rng.random() < 0.08:
        return ", ".join(_plain(one) for one in named)
    things = [one for one in named if one.number]
    stuffs = {one.name: one for one in named if not one.number}
    parts = _with_grounds(things, stuffs, rng)
    text = _join(parts, rng) if parts else ""
    text = _add_stuffs(text, list(stuffs.values()), rng)
    text = rng.choices(_OPENING_TEXTS, _OPENING_WEIGHTS)[0] + text
    if rng.random() < (0.1 if light == "day" else 0.45):
        text += " " + rng.choice(_TIMES[light])
    return _finish(text, rng)


def _with_grounds(
    things: Sequence[Subject], stuffs: dict[str, Subject], rng: random.Random
) -> list[str]:
    """Phrase of each thing; the first thing on a stuff includes it and removes it from `stuffs`."""
    parts = []
    for thing in things:
        phrase = _phrase(thing, rng)
        ground = stuffs.pop(thing.ground, None)
        if ground:
            phrase = _relate(thing, phrase, ground, rng)
        parts.append(phrase)
    return parts


def _relate(thing: Subject, phrase: str, ground: Subject, rng: random.Random) -> str:
    below = _phrase(ground, rng)
    if rng.random() < 0.25:
        return below + rng.choice((" with ", " and ")) + phrase
    ways = _SPECIAL.get((thing.name, ground.name)) or _ON[ground.name]
    if thing.name in _UPRIGHT and ground.name in _STANDING:
        ways = (*ways, _STANDING[ground.name])
    return f"{phrase} {rng.choice(ways).format(below)}"


def _join(parts: Sequence[str], rng: random.Random) -> str:
    if len(parts) == 1:
        return parts[0]
    last = rng.choice((" and ", " and ", " with ", " next to ", ", and "))
    return ", ".join(parts[:-1]) + last + parts[-1]


def _add_stuffs(text: str, stuffs: Sequence[Subject], rng: random.Random) -> str:
    for stuff in stuffs:
        phrase = _phrase(stuff, rng)
        if text:
            text += " " + rng.choice(_BESIDES[stuff.name]).format(phrase)
        else:
            text = phrase
    return text


def _phrase(one: Subject, rng: random.Random) -> str:
    adjective = ""
    if one.adjectives and rng.random() < (0.4 if one.number else 0.35):
        adjective = rng.choice(one.adjectives)
    elif one.number and rng.random() < 0.12:
        adjective = rng.choice(("big", "little", "small", "nice", "pretty"))
    noun = f"{adjective} {one.name}" if adjective else one.name
    if one.number > 1:
        plural = noun if one.name == "fish" else noun + "s"
        return f"{rng.choice(_NUMBERS[one.number])} {plural}"
    if one.name in _UNCOUNTED:
        return rng.choice((noun, f"the {noun}", f"the {noun}"))
    if one.name in _ONE_OF_ITS_KIND and (not adjective or rng.random() < 0.5):
        return f"the {noun}"
    article = "an" if noun[0] in "aeiou" else "a"
    return f"{rng.choice((article, article, 'the'))} {noun}"


def _plain(one: Subject) -> str:
    return one.name + "s" if one.number > 1 and one.name != "fish" else one.name


def _finish(text: str, rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.5:
        return text[0].upper() + text[1:] + "."
    return text if draw < 0.85 else text + "."
