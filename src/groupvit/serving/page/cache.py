"""Images whose groups are kept while their visitors go on asking about them."""

import secrets
from collections import OrderedDict
from typing import NamedTuple

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage
from groupvit.serving.page.layers import Groups, fitted

PIXELS = 100_000_000
"""Of all kept images together; at three bytes each."""


class Kept(NamedTuple):
    """The groups of an image."""

    whole: GroupedImage
    """On the image as it came."""
    seen: GroupedImage
    """On one of the size that screens show."""
    groups: tuple[Groups, ...]
    """What is drawn of them, by stages."""

    @classmethod
    def of(cls, grouped: GroupedImage) -> "Kept":
        """Draw what stays while words change."""
        seen = fitted(grouped)
        groups = tuple(Groups.of(seen, stage) for stage in range(seen.num_stages))
        return cls(grouped, seen, groups)


class Cache:
    """Keeps what was grouped under names that nobody can guess; the oldest makes room."""

    def __init__(self, pixels: int = PIXELS) -> None:
        self._room = pixels
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def put(self, kept: Kept, instead_of: str | None = None) -> str:
        """Keep an image, and tell under which name.

        Args:
            kept: The image; it stays even if it takes all the room.
            instead_of: The name of one that is no longer wanted.
        """
        self._kept.pop(instead_of or "", None)
        name = secrets.token_urlsafe()
        self._kept[name] = kept
        while len(self._kept) > 1 and sum(map(_pixels, self._kept.values())) > self._room:
            self._kept.popitem(last=False)
        return name

    def get(self, name: str | None) -> Kept:
        """The image of this name.

        Raises:
            InputError: It had to make room, or there never was one.
        """
        if name is None:
            raise InputError("there is no image yet; drop one, or take an example")
        if name not in self._kept:
            raise InputError("this image made room for others; give it once more")
        self._kept.move_to_end(name)
        return self._kept[name]


def _pixels(kept: Kept) -> int:
    return sum(height * width for height, width in (kept.whole.size, kept.seen.size))
