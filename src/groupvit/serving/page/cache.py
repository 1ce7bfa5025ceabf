"""Cache of grouped images, so that a change of labels needs no pass through the network."""

import secrets
from collections import OrderedDict
from typing import NamedTuple

from groupvit.errors import InputError
from groupvit.segmentation.groups import GroupedImage
from groupvit.serving.page.overlays import GroupOverlay, resized_for_display

MAX_PIXELS = 100_000_000
"""Pixels of all cached images together, at three bytes each."""


class CachedImage(NamedTuple):
    """Groups of an image."""

    original: GroupedImage
    """In the size of the upload."""
    displayed: GroupedImage
    """In a size for screens."""
    group_overlays: tuple[GroupOverlay, ...]
    """One for each grouping stage."""

    @classmethod
    def of(cls, grouped: GroupedImage) -> "CachedImage":
        """Draw the overlays that do not depend on labels."""
        displayed = resized_for_display(grouped)
        overlays = (GroupOverlay.of(displayed, stage) for stage in range(displayed.num_stages))
        return cls(grouped, displayed, tuple(overlays))

    @property
    def num_pixels(self) -> int:
        """Pixels in both sizes."""
        return sum(height * width for height, width in (self.original.size, self.displayed.size))


class ImageCache:
    """Images by random keys; the least recently used are dropped when the cache is full."""

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        self._images: OrderedDict[str, CachedImage] = OrderedDict()

    def put(self, image: CachedImage, *, replaced: str | None = None) -> str:
        """Add an image, and return its key, which cannot be guessed.

        Args:
            image: Image; it is kept even if it fills the cache.
            replaced: Key of an image to remove.
        """
        self._images.pop(replaced or "", None)
        key = secrets.token_urlsafe()
        self._images[key] = image
        while len(self._images) > 1 and self._num_pixels() > self._max_pixels:
            self._images.popitem(last=False)
        return key

    def get(self, key: str | None) -> CachedImage:
        """Image of a key.

        Raises:
            InputError: There is none, or it was dropped.
        """
        if key is None:
            raise InputError("there is no image yet; choose one, or an example")
        if key not in self._images:
            raise InputError("this image is no longer in memory; choose it again")
        self._images.move_to_end(key)
        return self._images[key]

    def _num_pixels(self) -> int:
        return sum(image.num_pixels for image in self._images.values())
