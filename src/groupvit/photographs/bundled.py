"""The photographs, with the labels that compete for them."""

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
"""Folder of the files; its README.md lists sources and licenses."""


class Photograph(NamedTuple):
    """Photograph of the package."""

    file: str
    title: str
    credit: str
    """Author and license, as in README.md of the folder."""
    labels: tuple[str, ...]
    """Labels that compete; some are not in the photograph."""
    failure: str = ""
    """Errors in its segmentation by the bundled model; empty: none worth a sentence."""

    @property
    def path(self) -> Path:
        """Path of the file."""
        return FOLDER / self.file


PHOTOGRAPHS = (
    Photograph(
        "cat.jpg",
        "A cat",
        "Stefan van der Walt, CC0",
        ("cat", "dog", "person", "blanket", "wall"),
    ),
    Photograph(
        "coffee.jpg",
        "A cup of coffee",
        "Rachel Michetti, CC0",
        ("cup", "table", "cat"),
        "The saucer and a part of the table are called cup.",
    ),
    Photograph(
        "photographer.jpg",
        "A photographer",
        "Lav Varshney, CC0",
        ("man", "grass", "sky", "building"),
        "The sky is called building.",
    ),
    Photograph(
        "admiral.jpg",
        "Rear Admiral Grace Hopper",
        "U.S. Navy, public domain",
        ("woman", "flag", "sky"),
        "Most of the sky and the hat are called flag, and the flag is called woman.",
    ),
    Photograph(
        "raccoon.jpg",
        "A raccoon",
        "public-domain-image.com, public domain",
        ("raccoon", "animal", "leaf", "rock"),
        "Raccoon takes no pixel, as no caption has that word, and most leaves are called animal.",
    ),
    Photograph(
        "astronaut.jpg",
        "The astronaut Eileen Collins",
        "NASA, public domain",
        ("woman", "flag", "rocket", "helmet", "wall"),
        "The wall and the rocket are called woman, the suit helmet, the helmet woman and flag.",
    ),
    Photograph(
        "rocket.jpg",
        "A rocket at dusk",
        "SpaceX, public domain",
        ("rocket", "sky", "dog"),
        "The rocket, the towers and the ground are called sky.",
    ),
)
"""All photographs, in the order of the page."""
