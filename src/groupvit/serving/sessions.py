"""Sessions: images and their groups in memory, which can be labeled again without the network."""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import replace
from typing import NamedTuple

from fastapi import HTTPException
from torch import Tensor

from groupvit.segmentation.groups import GroupedImage, GroupedWindow
from groupvit.serving.limits import RequestLimits
from groupvit.serving.maps import resized_for_display, stage_of
from groupvit.serving.responses import Stage


class Session(NamedTuple):
    """Groups of an image."""

    original: GroupedImage
    """In the size of the upload."""
    displayed: GroupedImage
    """In a size for screens."""
    stages: tuple[Stage, ...]
    """Groups of every stage in that size."""

    @classmethod
    def of(cls, grouped: GroupedImage) -> "Session":
        """Session of an image, with copies of what a batch shares."""
        grouped = replace(grouped, windows=tuple(map(_copied, grouped.windows)))
        displayed = resized_for_display(grouped)
        stages = (stage_of(displayed, stage) for stage in range(displayed.num_stages))
        return cls(grouped, displayed, tuple(stages))

    @property
    def num_bytes(self) -> int:
        """Memory of its images, groups and maps [bytes]."""
        images = self.original.image.nbytes + self.displayed.image.nbytes
        tensors = sum(
            tensor.nbytes for window in self.original.windows for tensor in _tensors(window)
        )
        return images + tensors + sum(len(stage.map) for stage in self.stages)


def _tensors(window: GroupedWindow) -> tuple[Tensor, ...]:
    return (*window.assignments, window.embedding, window.segments, window.naming_embeddings)


def _copied(window: GroupedWindow) -> GroupedWindow:
    """A window with tensors of its own; those of a batch would keep the whole batch in memory."""
    return replace(
        window,
        assignments=tuple(one.clone() for one in window.assignments),
        embedding=window.embedding.clone(),
        segments=window.segments.clone(),
        naming_embeddings=window.naming_embeddings.clone(),
    )


class _Kept(NamedTuple):
    session: Session
    num_bytes: int
    end: float
    """Time of the loop at which it is dropped."""


class Sessions:
    """Sessions by the digest of the image file, bounded in number, memory and time.

    The least recently used are dropped. Only the thread of the event loop may use it.

    Args:
        limits: Limits of sessions.
    """

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    @staticmethod
    def digest(data: bytes) -> str:
        """SHA-256 of an image file in hexadecimal digits, the name of its session."""
        return hashlib.sha256(data).hexdigest()

    def find(self, digest: str) -> Session | None:
        """Session of a digest, whose time begins anew; None: there is none, or no longer."""
        kept = self._kept.pop(digest, None)
        if kept is None:
            return None
        self._keep(digest, kept.session, kept.num_bytes)
        return kept.session

    def get(self, digest: str) -> Session:
        """Session of a digest.

        Raises:
            HTTPException: 404: there is none, or no longer.
        """
        session = self.find(digest)
        if session is None:
            raise HTTPException(404, "there is no such session, or no longer; send the image again")
        return session

    def put(self, digest: str, session: Session) -> None:
        """Add a session, and drop others until all are within the limits.

        A session larger than the limit is dropped when the next one comes.
        """
        self._kept.pop(digest, None)
        self._keep(digest, session, session.num_bytes)
        while len(self._kept) > 1 and (
            len(self._kept) > self._limits.max_sessions
            or sum(kept.num_bytes for kept in self._kept.values()) > self._limits.max_session_bytes
        ):
            self._kept.popitem(last=False)

    def close(self) -> None:
        """Drop all sessions."""
        self._kept.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _keep(self, digest: str, session: Session, num_bytes: int) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limits.session_seconds
        self._kept[digest] = _Kept(session, num_bytes, end)
        if self._timer is None:
            self._timer = loop.call_at(end, self._drop_ended)

    def _drop_ended(self) -> None:
        loop = asyncio.get_running_loop()
        while self._kept:
            first = next(iter(self._kept))
            end = self._kept[first].end
            if end > loop.time():
                self._timer = loop.call_at(end, self._drop_ended)
                return
            del self._kept[first]
        self._timer = None
