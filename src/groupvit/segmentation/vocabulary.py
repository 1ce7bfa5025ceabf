"""Words as the network knows them: an embedding for every word that anyone asks for."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from einops import reduce
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from groupvit.errors import InputError
from groupvit.segmentation.network import Network
from groupvit.text.background import Background
from groupvit.text.prompts import Label, parse_labels, prompts
from groupvit.text.tokenizer import Tokenizer


class Query(NamedTuple):
    """What is asked of an image: labels, each with its words, and those that are background."""

    labels: tuple[str, ...]
    """Names of the labels that compete, background words last."""
    num_background: int
    """How many of the last labels are background."""
    words: tuple[str, ...]
    """All words, label by label."""
    owners: tuple[int, ...]
    """The label that each word belongs to."""


def query(labels: Sequence[str], background: Background | None) -> Query:
    """Parse the labels, such as `car|automobile|taxi`, and the words of the background.

    Raises:
        InputError: A label is empty, given twice or reserved, or a threshold names no label.
    """
    wanted = parse_labels(labels)
    behind = background.words if background else ()
    parsed = parse_labels([*labels, *behind]) if behind else wanted
    if background:
        _check_thresholds(background, wanted)
    return Query(
        tuple(label.name for label in parsed),
        len(parsed) - len(wanted),
        tuple(word for label in parsed for word in label.words),
        tuple(index for index, label in enumerate(parsed) for _ in label.words),
    )


def _check_thresholds(background: Background, labels: Sequence[Label]) -> None:
    names = [label.name for label in labels]
    for name in background.thresholds:
        if name not in names:
            raise InputError(
                f"a background threshold is given for {name!r}, which is no label; "
                f"the labels are {', '.join(names)}"
            )


class Vocabulary:
    """Embeds words in sentences and remembers them."""

    REMEMBERED = 4096
    """Words that are kept; the least recently used are forgotten first."""
    BATCH = 64
    """Prompts that are encoded at once; more of them spend more on padding."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._tokenize = Tokenizer(network.config.text.vocabulary_size)
        self._known: OrderedDict[tuple[str, tuple[str, ...]], Tensor] = OrderedDict()

    def embed(
        self, words: Sequence[str], templates: tuple[str, ...]
    ) -> Float[Tensor, "word embedding"]:
        """L2-normalized embeddings, averaged over the templates before they are normalized.

        Raises:
            InputError: A word is too long for the text encoder.
        """
        new = [word for word in words if (word, templates) not in self._known]
        if new:
            embeddings = self._encode(new, templates)
            self._known.update(
                ((word, templates), e) for word, e in zip(new, embeddings, strict=True)
            )
        for word in words:
            self._known.move_to_end((word, templates))
        result = torch.stack([self._known[word, templates] for word in words])
        while len(self._known) > self.REMEMBERED:
            self._known.popitem(last=False)
        return result

    def _encode(
        self, words: Sequence[str], templates: tuple[str, ...]
    ) -> Float[Tensor, "word embedding"]:
        texts = [prompt for word in words for prompt in prompts(word, templates)]
        length = self._network.config.text.context_length
        tokens = self._tokenize(texts, context_length=length, overlong="refuse")
        rows = self._project(tokens)
        mean = reduce(rows, "(word template) embedding -> word embedding", "mean", word=len(words))
        return F.normalize(mean.float(), dim=-1)

    def _project(self, tokens: Int[Tensor, "text position"]) -> Float[Tensor, "text embedding"]:
        """Texts of like length are encoded together, so that little is spent on padding."""
        order = tokens.argmax(dim=1).argsort()
        device = self._network.device
        rows = [
            self._network.encode_text(tokens[order[start : start + self.BATCH]].to(device))
            for start in range(0, len(order), self.BATCH)
        ]
        return torch.cat(rows)[order.argsort().to(device)]
