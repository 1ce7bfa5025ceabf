"""Masks as run lengths, plain and compressed, as COCO and pycocotools have them.

Runs go column by column; the first counts zeros and may have length 0, and then ones and zeros
alternate. Compressed, each length (from the fourth on its difference to the one before the last) is
written in pieces of five bits, lowest first, as characters from "0" on; a sixth bit marks that
another piece follows, and the highest bit of the last piece is the sign.
"""

import numpy as np
from jaxtyping import Bool, Int

_PIECES = 7
"""Largest number of pieces of a length: 35 bits."""


def run_lengths(mask: Bool[np.ndarray, "height width"]) -> Int[np.ndarray, " run"]:
    """Lengths of the runs of a mask."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
    return np.diff(changes, prepend=0)


def to_mask(
    lengths: Int[np.ndarray, " run"], size: tuple[int, int]
) -> Bool[np.ndarray, "height width"]:
    """Mask of run lengths.

    Args:
        lengths: Lengths of the runs.
        size: Height and width [pixels].
    """
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(size, order="F")


def compress(lengths: Int[np.ndarray, " run"]) -> str:
    """Run lengths as the compressed text of COCO."""
    rest = lengths.astype(np.int64)
    rest[3:] -= lengths[1:-2]
    pieces = np.zeros((len(rest), _PIECES), np.uint8)
    used = np.zeros((len(rest), _PIECES), bool)
    more = np.ones(len(rest), bool)
    for place in range(_PIECES):
        used[:, place] = more
        low = rest & 31
        rest >>= 5
        more = more & np.where(low & 16, rest != -1, rest != 0)
        pieces[:, place] = low + 32 * more + 48
    return pieces[used].tobytes().decode("ascii")


def decompress(text: str) -> Int[np.ndarray, " run"]:
    """Run lengths of the compressed text of COCO.

    Raises:
        ValueError: It is no such text.
    """
    codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(codes < 32)
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63 or last[-1:] != codes.size - 1:
        raise ValueError(f"{text!r:.40} is no run lengths")
    starts = np.concatenate([[0], last[:-1] + 1])
    places = np.arange(codes.size) - np.repeat(starts, last - starts + 1)
    values = np.add.reduceat((codes & 31) << (5 * places), starts)
    negative = (codes[last] & 16) != 0
    values -= negative.astype(np.int64) << (5 * (places[last] + 1))
    values[1::2] = np.cumsum(values[1::2])  # a length is a difference to the one before the last
    values[2::2] = np.cumsum(values[2::2])
    return values


def box(mask: Bool[np.ndarray, "height width"]) -> tuple[int, int, int, int]:
    """Left, top, width and height of the box around a mask that is not empty [pixels]."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top
