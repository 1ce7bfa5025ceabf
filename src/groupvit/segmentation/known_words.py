"""Warnings about words that a model was not trained with, with the nearest words that it knows."""

from collections.abc import Sequence
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from groupvit.segmentation.network import Network
from groupvit.segmentation.word_embeddings import WordEmbeddings
from groupvit.text.coverage import MAX_WORDS, Coverage
from groupvit.weights import catalogue

NEAREST = 3
"""Number of known words that are given for an unknown one."""
CANDIDATES = 2000
"""Number of known words among which they are found: the most frequent nouns, then distilled names.
They are embedded once, at the first unknown word: in about a second by the bundled model."""
MIN_COUNT = 5
"""Occurrences of a noun in the captions from which it is a candidate; its embedding is trained."""
SHOWN = 5
"""Number of unknown words with a sentence of their own; further ones share one."""
LISTED = 20
"""Number of words in that sentence."""


class UnknownWordWarning(UserWarning):
    """A label, or a word of the background, that the model was not trained with."""


class KnownWords:
    """Words that a model was trained with.

    Args:
        coverage: Domain and words of the model.
        network: Model.
        template: Template of the prompts that are compared.
    """

    def __init__(self, coverage: Coverage, network: Network, template: str) -> None:
        self.coverage = coverage
        self._embeddings, self._template = WordEmbeddings(network), template
        self._context_length = network.config.text.context_length
        self._candidates: Float[Tensor, "word embedding"] | None = None
        self._checked = set[str]()

    def unknown(
        self, words: Sequence[str], *, most: int | None = None
    ) -> dict[str, tuple[str, ...]]:
        """The nearest known words of each unknown word, by the cosine of their embeddings.

        Args:
            words: Words to check; see `Coverage.unknown`.
            most: Number of words whose nearest ones are found; further ones have none. None: all.

        Raises:
            InputError: An unknown word is too long for the text encoder.
        """
        found = self.coverage.unknown(dict.fromkeys(words))
        some = found[:most]
        candidates = self.names() if some else []
        nearest: dict[str, tuple[str, ...]] = dict.fromkeys(found, ())
        if not candidates:
            return nearest
        if self._candidates is None:  # threads that come here together find the same
            self._candidates = self._embed(candidates)
        cosines = self._embed(some) @ self._candidates.mT  # (word, candidate)
        best = cosines.topk(min(NEAREST, len(candidates)), dim=1).indices.tolist()
        return nearest | {
            word: tuple(candidates[one] for one in row)
            for word, row in zip(some, best, strict=True)
        }

    def warnings(self, words: Sequence[str]) -> list[str]:
        """Sentences about unknown words, and one about the domain; none if all words are known.

        Raises:
            InputError: An unknown word is too long for the text encoder.
        """
        found = self.unknown(words, most=SHOWN)
        if not found:
            return []
        where = (
            "in no caption of this model as a noun"
            if self.coverage.is_complete
            else f"not among the {MAX_WORDS:,} most frequent nouns of this model's captions"
        )
        sentences = [
            f"{word} is {where}" + _nearest_sentence(near)
            for word, near in islice(found.items(), SHOWN)
        ]
        rest = list(found)[SHOWN:]
        if rest:
            listed = ", ".join(rest[:LISTED]) + (", ..." if len(rest) > LISTED else "")
            are = "words are" if len(rest) > 1 else "word is"
            sentences.append(f"{len(rest)} more {are} {where}: {listed}")
        return [*sentences, self._summary(list(found))]

    def new_warnings(self, words: Sequence[str]) -> list[str]:
        """The same for words that were not given before."""
        new = [word for word in words if word not in self._checked]
        if len(self._checked) + len(new) > MAX_WORDS:
            self._checked.clear()
        self._checked.update(new)
        return self.warnings(new)

    def names(self) -> list[str]:
        """Candidates for the nearest words, all short enough for the text encoder."""
        nouns, distilled = self.coverage.nouns, self.coverage.distilled
        frequent = [noun for noun, count in nouns.items() if count >= MIN_COUNT]
        names = dict.fromkeys((*(frequent if len(frequent) >= NEAREST else nouns), *distilled))
        # No text has more tokens than bytes, and two tokens are its beginning and its end.
        longest = self._context_length - 2 - len(self._template.encode())
        return [name for name in names if len(name.encode()) <= longest][:CANDIDATES]

    def _embed(self, words: Sequence[str]) -> Float[Tensor, "word embedding"]:
        with torch.inference_mode():
            return self._embeddings.embed(words, (self._template,))

    def _summary(self, words: Sequence[str]) -> str:
        """Domain and words of the model; packaged models of other domains that know a word."""
        own = self.coverage
        names = list(own.nouns) or own.distilled
        some = f"{len(names):,} words such as {', '.join(names[:NEAREST])}"
        others = [
            f"for {one.domain} use {name}"
            for name, one in catalogue.packaged_coverage().items()
            if one.domain not in ("", own.domain)
            and one.has_words
            and len(one.unknown(words)) < len(words)
        ]
        return "; ".join([f"this model knows {own.domain and f'{own.domain}, '}{some}", *others])


def _nearest_sentence(near: Sequence[str]) -> str:
    return f"; nearest words it knows: {', '.join(near)}" if near else ""
