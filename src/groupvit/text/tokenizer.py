"""Byte-pair tokenizer of CLIP: strings to token ids and back.

A text is cleaned and split into words by CLIP's pattern. Each word starts as its UTF-8 bytes, the
last one marked as the end of the word, and the two neighbors whose merge was learned first are
joined again and again until none is left to join. Token ids: 0 to 255 are the bytes, 256 to 511
the bytes that end a word, then one id for each merge in the order of learning, then the start and
the end of a text. The order of ids is therefore that of learning.

The library `tokenizers` gives the same ids, but is no faster: it takes 98 and 153 ms of one core to
be ready with 4,096 and 49,408 ids (this module 91 and 150 ms), 0.76 s for 40,000 captions (0.45 s),
and 11 MB on disk.

Source: Radford et al. 2021, section 2.4; the merges are those of OpenAI CLIP (MIT license).
"""

import gzip
import html
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from heapq import heapify, heappop, heappush
from importlib.resources import files
from itertools import pairwise, takewhile
from typing import Final, Literal, NamedTuple

import ftfy
import regex  # type: ignore[import-untyped]
import torch
from jaxtyping import Int
from torch import Tensor

from groupvit.errors import InputError

VOCABULARY_SIZE: Final = 49408
"""Number of token ids: 256 bytes, 256 ends of words, 48,894 merges, START and END."""

START: Final = VOCABULARY_SIZE - 2
"""Token id that begins every text."""

END: Final = VOCABULARY_SIZE - 1
"""Token id that ends every text; the text encoder reads a text at its first END."""

_END_OF_WORD: Final = 256
_FIRST_MERGE: Final = 2 * _END_OF_WORD
_SPECIAL: Final = ("<|startoftext|>", "<|endoftext|>")
_WORDS: Final = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+",
    regex.IGNORECASE,
)

# The file of merges writes a byte as a character: bytes that Latin-1 prints stand for themselves
# and have the first token ids, the others follow as the characters from U+0100 on.
_PRINTABLE: Final = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_BYTES: Final = bytes((*_PRINTABLE, *sorted(set(range(256)).difference(_PRINTABLE))))
"""Byte of each of the first 256 token ids."""
_CHARACTERS: Final = (*map(chr, _PRINTABLE), *map(chr, range(256, 512 - len(_PRINTABLE))))
"""The same bytes as the file of merges writes them."""
_BYTE_IDS: Final = bytes.maketrans(_BYTES, bytes(range(256)))
"""Token id of each byte, as a table for `bytes.translate`."""


class BytePairs(NamedTuple):
    """Tokens and merges of a vocabulary, as the files of CLIP write them and as token ids."""

    tokens: list[str]
    """Every token in the order of ids."""
    merges: dict[tuple[int, int], int]
    """Id of the merged token for each pair of neighbors that may merge, earliest learned first."""


@cache
def read_byte_pairs(size: int = VOCABULARY_SIZE) -> BytePairs:
    """The first merges of CLIP's vocabulary that give this number of token ids."""
    tokens = [*_CHARACTERS, *(f"{character}</w>" for character in _CHARACTERS)]
    ids = dict(zip(tokens, range(_FIRST_MERGE), strict=True))
    merges = {}
    path = files("groupvit") / "text" / "data" / "merges.txt.gz"
    with path.open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8") as lines:
        next(lines)  # a header
        # The file continues beyond the vocabulary of CLIP.
        for merged, line in zip(range(_FIRST_MERGE, size - len(_SPECIAL)), lines, strict=False):
            left, right = line.split()
            merges[ids[left], ids[right]] = ids[left + right] = merged
            tokens.append(left + right)
    return BytePairs([*tokens, *_SPECIAL], merges)


@cache
def _token_bytes(size: int) -> list[bytes]:
    """Bytes of every token but START and END; those that end a word carry a space."""
    single = [bytes([byte]) for byte in _BYTES]
    pieces = [*single, *(byte + b" " for byte in single)]
    for left, right in read_byte_pairs(size).merges:
        pieces.append(pieces[left] + pieces[right])
    return pieces


def _merge(tokens: list[int], merges: dict[tuple[int, int], int]) -> tuple[int, ...]:
    """Tokens after all merges, the earliest learned first and from left to right.

    A queue keeps the time near n log n, so that a single word of a million letters cannot block a
    server. Merging one place at a time equals the rounds of the published algorithm, as no two
    merges of the vocabulary spell the same token: every token that a merge makes merges later.
    """
    end = len(tokens)
    after, before = list(range(1, end + 1)), list(range(-1, end - 1))
    queue = []
    for place, pair in enumerate(pairwise(tokens)):
        if pair in merges:
            queue.append((merges[pair], place, *pair))
    heapify(queue)
    while queue:
        merged, place, left, right = heappop(queue)
        other = after[place]
        if tokens[place] != left or other == end or tokens[other] != right:
            continue  # a neighbor has merged since this entry was made
        tokens[place], tokens[other] = merged, -1
        after[place] = beyond = after[other]
        if beyond < end:
            before[beyond] = place
        for first, second in ((before[place], place), (place, beyond)):
            if first >= 0 and second < end:
                pair = tokens[first], tokens[second]
                if pair in merges:
                    heappush(queue, (merges[pair], first, *pair))
    return tuple(token for token in tokens if token >= 0)


@lru_cache(maxsize=2**16)
def _word_ids(word: str, size: int) -> tuple[int, ...]:
    """Token ids of one word of CLIP's pattern in a vocabulary of this size."""
    if word in _SPECIAL:
        return (size - len(_SPECIAL) + _SPECIAL.index(word),)
    tokens = list(word.encode().translate(_BYTE_IDS))
    tokens[-1] += _END_OF_WORD
    return _merge(tokens, read_byte_pairs(size).merges)


def clean(text: str) -> str:
    """Text as CLIP reads it.

    Broken encodings are repaired by ftfy, HTML entities resolved twice (captions from the web are
    often escaped twice), whitespace stripped and collapsed, letters lowered.
    """
    # Printable ASCII has nothing to repair, and without "&" it has no entities.
    if not (text.isascii() and text.isprintable() and "&" not in text):
        text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


class Tokenizer:
    """Byte-pair tokenizer of CLIP.

    The vocabulary is read when it is first needed. Tokenizers of one size share it, all share one
    bounded cache of words, and an instance can be sent to other processes.
    """

    def __init__(self, vocabulary_size: int = VOCABULARY_SIZE) -> None:
        """Make a tokenizer of CLIP's vocabulary, or of its first merges alone.

        Args:
            vocabulary_size: Number of token ids. With fewer than CLIP's 49,408 only the merges
                learned first are used, so that rare words take more tokens; the last two ids
                are still the start and the end of a text.

        Raises:
            InputError: The size is less than bytes, ends of words, start and end need, or more
                than there are merges for.
        """
        if not 2 * _END_OF_WORD + 2 <= vocabulary_size <= VOCABULARY_SIZE:
            raise InputError(
                f"vocabulary_size is {vocabulary_size}; the tokenizer of CLIP has from "
                f"{2 * _END_OF_WORD + 2} to {VOCABULARY_SIZE} token ids"
            )
        self.vocabulary_size = vocabulary_size
        self.start = vocabulary_size - 2
        self.end = vocabulary_size - 1

    def encode(self, text: str) -> list[int]:
        """Token ids of a text of any length, without START and END.

        As in CLIP, the words <|startoftext|> and <|endoftext|> inside a text give START and END.
        """
        ids: list[int] = []
        for word in _WORDS.findall(clean(text)):
            ids += _word_ids(word, self.vocabulary_size)
        return ids

    def count(self, text: str) -> int:
        """Number of tokens of a text with START and END: 2 for an empty text."""
        return len(self.encode(text)) + 2

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids up to the first END, as the text encoder reads them.

        The text is lower case, with one space after each word of CLIP's pattern ("a cat ."). Bytes
        that are no UTF-8, such as half a character, give U+FFFD.
        """
        pieces = _token_bytes(self.vocabulary_size)
        read = takewhile(lambda token: token != self.end, ids)
        joined = b"".join(pieces[token] for token in read if token != self.start)
        return joined.decode("utf-8", errors="replace").strip()

    def __call__(
        self,
        texts: Sequence[str],
        *,
        context_length: int = 77,
        overlong: Literal["cut", "refuse"] = "cut",
    ) -> Int[Tensor, "text position"]:
        """Token ids of texts (int64): START, the text, END, then zeros.

        Rows are as long as the longest text of the call, not always `context_length`: the text
        encoder is causal and reads a text at its END, so zeros after it change no result and only
        cost time.

        Args:
            texts: The texts; without any, the result has 0 rows.
            context_length: Most tokens that the text encoder reads, with START and END; at least 2.
            overlong: Treatment of a longer text: "cut" keeps its first tokens and puts END last, as
                GroupViT does in training; "refuse" raises.

        Raises:
            InputError: A text is too long and `overlong` is "refuse", or `texts` is one string.
        """
        assert context_length >= 2
        if isinstance(texts, str):
            raise InputError(f"texts is the single string {_shortened(texts)}; give a list of them")
        rows = []
        for text in texts:
            row = [self.start, *self.encode(text), self.end]
            if len(row) > context_length:
                if overlong == "refuse":
                    raise InputError(
                        f"the text {_shortened(text)} has {len(row)} tokens, more than the "
                        f"{context_length} that the text encoder reads; shorten it"
                    )
                row[context_length - 1 :] = [self.end]
            rows.append(row)
        longest = max(map(len, rows), default=2)
        for row in rows:
            row += [0] * (longest - len(row))
        return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), longest)
