"""Text embeddings of words, remembered from image to image, and for equal labels on disk."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Lock

import torch
from einops import reduce
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from groupvit import cache
from groupvit.errors import InputError
from groupvit.exported.compiling import CompiledNetwork
from groupvit.model.groupvit import GroupViT
from groupvit.segmentation.network import Network
from groupvit.text.prompts import prompts
from groupvit.text.tokenizer import Tokenizer
from groupvit.weights.digest import digest

KIND = "words"
"""Kind of the files in the cache."""
_LOCK = Lock()
"""One for all memories, so that they can be copied; held for no longer than a look-up takes."""


class WordEmbeddings:
    """Embeds words, each put into sentences, and remembers them.

    The words that a process embeds first, such as the labels of a command, are kept between runs if
    they are many: see `groupvit.cache`. They are kept together, so that their embeddings are those
    that would be computed, bit for bit.

    Args:
        network: Model whose encoder of texts is used.
    """

    KEPT = 16
    """Number of prompts from which embeddings are kept; fewer are encoded in no time."""
    REMEMBERED = 4096
    """Words that are kept; the least recently used is forgotten first."""
    BATCH = 64
    """Prompts that are encoded at once; larger batches spend more on padding."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._tokenize = Tokenizer(network.config.text.vocabulary_size)
        self._known: OrderedDict[tuple[str, tuple[str, ...]], Tensor] = OrderedDict()

    def embed(
        self, words: Sequence[str], templates: tuple[str, ...]
    ) -> Float[Tensor, "word embedding"]:
        """L2-normalized mean embeddings of the sentences of each word.

        Several threads may call it. A word that is encoded with others differs from the same word
        alone by the rounding of float32, at most about 2e-7 a value, since the shape of a batch
        decides the order of its sums.

        Raises:
            InputError: A word is too long for the text encoder.
        """
        found = self._remembered(words, templates)
        new = [word for word in dict.fromkeys(words) if word not in found]
        if new:
            num_prompts = len(new) * len(templates)
            keeps = not self._known and num_prompts >= self.KEPT and cache.folder() is not None
            encode = self._encode_or_read if keeps else self._encode
            found |= zip(new, encode(new, templates), strict=True)
        self._remember(found, words, templates)
        return torch.stack([found[word] for word in words])

    def _remembered(self, words: Sequence[str], templates: tuple[str, ...]) -> dict[str, Tensor]:
        with _LOCK:
            return {
                word: self._known[word, templates]
                for word in words
                if (word, templates) in self._known
            }

    def _remember(
        self, found: Mapping[str, Tensor], words: Sequence[str], templates: tuple[str, ...]
    ) -> None:
        with _LOCK:
            for word in words:
                # Another thread may have been first; its embedding stays.
                self._known.setdefault((word, templates), found[word])
                self._known.move_to_end((word, templates))
            while len(self._known) > self.REMEMBERED:
                self._known.popitem(last=False)

    def _encode_or_read(
        self, words: Sequence[str], templates: tuple[str, ...]
    ) -> Float[Tensor, "word embedding"]:
        """Embeddings of an earlier run, or those computed now, which are kept."""
        key = self._digest()
        if key is None:
            return self._encode(words, templates)
        key = cache.digest([key, repr(templates), *words])
        path = cache.find(KIND, key)
        if path is not None:
            with suppress(OSError, SafetensorError, KeyError):  # deleted meanwhile, or damaged
                return load_file(path)[KIND]
        found = self._encode(words, templates)
        refused = InputError, SafetensorError  # if the folder cannot be written
        with suppress(*refused), cache.new(KIND, key) as path:
            save_file({KIND: found.clone()}, path)
        return found

    def _digest(self) -> str | None:
        """Digest of all that the embeddings depend on; None for a network that has none."""
        network: Network = self._network
        runtime = ""
        if isinstance(network, CompiledNetwork):
            runtime = network.runtime if network.is_current else ""
            network = network.model
        if not isinstance(network, GroupViT) or network.device.type != "cpu":
            return None
        autocast = str(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else ""
        settings = f"{network.config.text!r} {runtime} {autocast} {torch.get_num_threads()}"
        return digest(network.text_encoder, network.text_projector, of=settings)

    def _encode(
        self, words: Sequence[str], templates: tuple[str, ...]
    ) -> Float[Tensor, "word embedding"]:
        texts: list[str] = []
        for word in words:
            texts += prompts(word, templates)
        length = self._network.config.text.context_length
        tokens = self._tokenize(texts, context_length=length, overlong="refuse")
        # Texts of similar length are encoded together, so that little is spent on padding. The
        # last token of a text has the highest id: its position is the length.
        order = tokens.argmax(dim=1).argsort()
        device = self._network.device
        rows = [
            self._network.encode_text(tokens[some].to(device))
            for some in torch.split(order, self.BATCH)
        ]
        embeddings = torch.cat(rows)[order.argsort().to(device)]
        mean = reduce(
            embeddings, "(word template) embedding -> word embedding", "mean", word=len(words)
        )
        return F.normalize(mean.float(), dim=-1)
