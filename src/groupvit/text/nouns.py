"""Nouns of a caption, which become prompts in training (GroupViT, section 3.2)."""

import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Final, Literal

from groupvit.errors import InputError

LONGEST: Final = 2000
"""How much of a caption is looked at [characters]; the text encoder reads far less."""

_NOUNS: Final = frozenset({"NN", "NNS", "NNP"})
_PUBLISHED: Final = _NOUNS | {"VBG", "VB", "VBD", "VBN", "VBP", "VBZ"}
_INSTALL: Final = 'install it with: pip install "groupvit[train]"'
_DOWNLOAD: Final = (
    "get them with: python -m nltk.downloader punkt_tab averaged_perceptron_tagger_eng"
)

_Tagger = Callable[[str], list[tuple[str, str]]]


class NounFinder:
    """Finds the nouns of captions.

    "pattern" takes the rules and the word list that come with TextBlob: fast, and without any
    download. Its nouns are the words tagged NN, NNS and NNP.

    "perceptron" takes NLTK's tokenizer and tagger, and counts verbs as nouns, as the released
    models did: NN, NNS, NNP, VBG, VB, VBD, VBN, VBP and VBZ (not NNPS).

    Raises:
        InputError: The library or its data are not installed.
    """

    def __init__(self, kind: Literal["pattern", "perceptron"]) -> None:
        self._tags = _NOUNS if kind == "pattern" else _PUBLISHED
        self._tagger = _pattern() if kind == "pattern" else _perceptron()

    def find(self, caption: str) -> list[str]:
        """Nouns in their order, in lower case; a word that stands twice is there twice.

        Only words of two letters and more, and of letters alone, count.
        """
        tagged = self._tagger(caption[:LONGEST])
        words = (word.lower() for word, tag in tagged if tag in self._tags)
        return [word for word in words if len(word) > 1 and word.isalpha()]


@lru_cache(maxsize=2**16)
def singular(noun: str) -> str:
    """The noun in the singular, by TextBlob's rules: «dogs» and «dog» speak of the same.

    Raises:
        InputError: TextBlob is not installed.
    """
    try:
        inflect = import_module("textblob.en.inflect")
    except ImportError as error:
        raise InputError(
            f"singulars are found by TextBlob, which is missing; {_INSTALL}"
        ) from error
    result: str = inflect.singularize(noun)
    return result


def _pattern() -> _Tagger:
    try:
        en = import_module("textblob.en")
    except ImportError as error:
        raise InputError(f"nouns are found by TextBlob, which is missing; {_INSTALL}") from error
    with warnings.catch_warnings():
        # It reads its word list at the first call, and leaves the closing to Python.
        warnings.simplefilter("ignore", ResourceWarning)
        en.tag("word")
    tagger: _Tagger = en.tag
    return tagger


def _perceptron() -> _Tagger:
    try:
        nltk, perceptron = import_module("nltk"), import_module("nltk.tag.perceptron")
    except ImportError as error:
        raise InputError(f"nouns are found by NLTK, which is missing; {_INSTALL}") from error
    try:
        tagger = perceptron.PerceptronTagger()
        nltk.word_tokenize("word")
    except LookupError as error:
        raise InputError(f"NLTK lacks the data of its tagger; {_DOWNLOAD}") from error
    return lambda caption: tagger.tag(nltk.word_tokenize(caption))
