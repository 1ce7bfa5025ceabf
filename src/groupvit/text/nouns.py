"""Nouns of captions, used as prompts in training (GroupViT, section 3.2)."""

import html
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Final, Literal

from groupvit.errors import InputError

LONGEST: Final = 2000
"""Length to which captions are cut [characters]; the text encoder reads far less."""

_NOUNS: Final = frozenset({"NN", "NNS", "NNP"})
_PUBLISHED: Final = _NOUNS | {"VBG", "VB", "VBD", "VBN", "VBP", "VBZ"}
_LISTED: Final = re.compile(r"(?<=[^\W\d_])[,;](?=[^\W\d_])")
"""Commas and semicolons that join words of a list, which TextBlob would take for one word."""
_JOINED: Final = re.compile(r"(?<!\S)[^\W\d_]+(?:/[^\W\d_]+)+(?=[\s.,;:!?)]|$)")
"""Words joined by slashes, such as dog/cat; paths and addresses have other characters too."""
_PREPOSITIONS: Final = re.compile(
    r" (above|at|behind|below|by|for|from|in|near|of|on|over|to|under|with|without) "
)
_IRREGULAR: Final = (
    ("man", "men"),
    ("child", "children"),
    ("person", "people"),
    ("mouse", "mice"),
    ("goose", "geese"),
    ("foot", "feet"),
    ("tooth", "teeth"),
)
"""Singulars and plurals that no rule gives; compounds such as "fireman" follow them."""
_RULES: Final = (*_IRREGULAR, ("y", "ies"), ("f", "ves"), ("fe", "ves"), ("", "es"), ("", "s"))
"""Endings of singulars and of their plurals."""
_INSTALL: Final = 'install it with: pip install "groupvit[train]"'
_DOWNLOAD: Final = (
    'set data.nouns to "pattern" (--nouns pattern), which needs none, or get them with: '
    "python -m nltk.downloader punkt_tab averaged_perceptron_tagger_eng"
)

_Tagger = Callable[[str], list[tuple[str, str]]]


class NounFinder:
    """Part-of-speech tagger that returns the nouns of captions.

    "pattern" uses the rules and the word list of TextBlob: fast, and without any download. Its
    nouns are the words tagged NN, NNS and NNP.

    "perceptron" uses NLTK's tokenizer and tagger, and includes verbs, as the released models did:
    NN, NNS, NNP, VBG, VB, VBD, VBN, VBP and VBZ (not NNPS). It keeps every word of these tags, such
    as "t-shirt" and "a4".

    Raises:
        InputError: The library or its data are not installed.
    """

    def __init__(self, kind: Literal["pattern", "perceptron"]) -> None:
        self._tags = _NOUNS if kind == "pattern" else _PUBLISHED
        self._keeps_all = kind == "perceptron"
        self._tagger = _pattern() if kind == "pattern" else _perceptron()

    def find(self, caption: str) -> list[str]:
        """Nouns in their order and in lower case; a repeated noun is listed each time.

        HTML entities are resolved first, twice as in the tokenizer. With "pattern", words of one
        letter, and words with other characters than letters, are left out; "dog/cat" is two words.
        """
        text = _readable(caption)
        if not self._keeps_all:
            text = _JOINED.sub(lambda match: match[0].replace("/", " / "), text)
        tagged = self._tagger(text[:LONGEST])
        nouns = [word.lower() for word, tag in tagged if tag in self._tags]
        return nouns if self._keeps_all else [noun for noun in nouns if _is_plain(noun)]


def _readable(caption: str) -> str:
    """Caption without HTML entities, and with a space after each comma between letters."""
    if "&" in caption:
        caption = " ".join(html.unescape(html.unescape(caption)).split())
    return _LISTED.sub(r"\g<0> ", caption)


@lru_cache(maxsize=2**16)
def singular(noun: str) -> str:
    """Singular of a noun by TextBlob's rules: "dog" for "dogs".

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


def singulars(
    counts: Mapping[str, int], *, least: int = 1, with_ss: bool = False
) -> dict[str, str]:
    """Singular of each noun that is taken for the plural of another one.

    Args:
        counts: Occurrences of all nouns.
        least: Occurrences of a singular from which on it has plurals: "dogs" is one of "dog", but
            "grass" stays, as "gras" does not occur.
        with_ss: True to let a noun that ends in "ss" be a plural, which is most often an error
            in a caption ("buss"), and "grass" where some caption has "gras".

    Raises:
        InputError: TextBlob is not installed.
    """
    candidates = (noun for noun in counts if with_ss or not noun.endswith("ss"))
    pairs = ((noun, singular(noun)) for noun in candidates)
    return {noun: one for noun, one in pairs if one != noun and counts.get(one, 0) >= least}


def merged_plurals(counts: Mapping[str, int]) -> Counter[str]:
    """Counts in which a plural is added to its singular, if that occurs too.

    Raises:
        InputError: TextBlob is not installed.
    """
    of_plural, merged = singulars(counts), Counter[str]()
    for noun, count in counts.items():
        merged[of_plural.get(noun, noun)] += count
    return merged


def number_forms(noun: str) -> set[str]:
    """The noun with the spellings that its other grammatical number may have, by simple rules.

    It needs no library. Not every spelling is a word: "bus" gives "bu" as well as "buses".
    """
    forms = {noun}
    for one, many in _RULES:
        if noun.endswith(many) and not (many == "s" and noun.endswith("ss")):
            forms.add(noun.removesuffix(many) + one)
        if noun.endswith(one):
            forms.add(noun.removesuffix(one) + many)
    return forms


def head_noun(phrase: str) -> str:
    """Last word of a phrase, or the last one before a preposition; hyphens separate words.

    "plant" for "potted plant", "glass" for "glass of water".
    """
    plain = " ".join(phrase.replace("-", " ").split())
    return _PREPOSITIONS.split(plain)[0].rpartition(" ")[2]


def _is_plain(noun: str) -> bool:
    return len(noun) > 1 and noun.isalpha()


def _pattern() -> _Tagger:
    try:
        en = import_module("textblob.en")
    except ImportError as error:
        raise InputError(f"nouns are found by TextBlob, which is missing; {_INSTALL}") from error
    with warnings.catch_warnings():
        # The first call reads the word list and does not close its file.
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
