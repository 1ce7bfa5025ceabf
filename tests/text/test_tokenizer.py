import gzip
import hashlib
import json
import os
import pickle
import tarfile
import unicodedata
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groupvit.errors import InputError
from groupvit.text.tokenizer import (
    _BYTE_IDS,
    END,
    START,
    VOCABULARY_SIZE,
    Tokenizer,
    _token_bytes,
    clean,
    read_byte_pairs,
)

tokenizer = Tokenizer()
ALL_MERGES = read_byte_pairs().merges
MERGES = files("groupvit") / "text" / "data" / "merges.txt.gz"
HERE = Path(__file__).parent
SHARED = Path(os.environ.get("GROUPVIT_SHARED", HERE.parents[1].parent / "shared"))
HARD_STRINGS = [
    json.loads(line)
    for line in (HERE / "hard_strings.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
words = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
anything = st.text(max_size=60)


@pytest.fixture(scope="module")
def transformers_tokenizer(tmp_path_factory):
    """The CLIP tokenizer of transformers, from files that it would itself write."""
    transformers = pytest.importorskip("transformers")
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    characters = [chr(code) for code in printable] + [chr(256 + index) for index in range(68)]
    lines = gzip.decompress(MERGES.read_bytes()).decode().split("\n")[1:48895]
    ends = [character + "</w>" for character in characters]
    tokens = [*characters, *ends, *(line.replace(" ", "") for line in lines)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    folder = tmp_path_factory.mktemp("clip")
    vocabulary = json.dumps({token: index for index, token in enumerate(tokens)})
    (folder / "vocab.json").write_text(vocabulary, encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines), encoding="utf-8")
    return transformers.CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt")
    )


@pytest.fixture(scope="module")
def captions():
    """Every caption of the shared image-caption pairs."""
    shards = sorted((SHARED / "data" / "pairs").glob("*.tar"))
    if not shards:
        pytest.skip(f"no caption shards under {SHARED}/data/pairs; set GROUPVIT_SHARED")
    lines = []
    for shard in shards:
        with tarfile.open(shard) as tar:
            texts = (tar.extractfile(member) for member in tar if member.name.endswith(".txt"))
            lines.extend(line for text in texts for line in text.read().decode().splitlines())
    return lines


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a photo of a cat.", [49406, 320, 1125, 539, 320, 2368, 269, 49407]),
        ("a photo of a dog.", [49406, 320, 1125, 539, 320, 1929, 269, 49407]),
        ("a photo of a aeroplane.", [49406, 320, 1125, 539, 320, 27735, 3980, 269, 49407]),
        ("a photo of a motorbike.", [49406, 320, 1125, 539, 320, 33341, 269, 49407]),
        ("", [49406, 49407]),
        (" \t\n", [49406, 49407]),
    ],
)
def test_known_texts_give_the_ids_of_clip(text, ids):
    assert tokenizer([text]).tolist() == [ids]


def test_the_merges_are_the_file_of_clip():
    digest = hashlib.sha256(MERGES.read_bytes()).hexdigest()
    assert digest == "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"


def test_the_vocabulary_is_that_of_clip():
    assert len(ALL_MERGES) == 48894
    assert list(ALL_MERGES.values()) == list(range(512, START))
    assert (START, END, VOCABULARY_SIZE) == (49406, 49407, 49408)


def test_merges_come_after_their_parts_and_spell_each_token_once():
    # What lets the tokenizer merge one place at a time.
    assert all(merged > max(pair) or max(pair) < 512 for pair, merged in ALL_MERGES.items())
    assert len(set(_token_bytes(VOCABULARY_SIZE))) == START


def merged_in_rounds(tokens):
    """The published algorithm: in each round, join every place of the earliest merge."""
    while pairs := [pair for pair in pairwise(tokens) if pair in ALL_MERGES]:
        best, joined = min(pairs, key=ALL_MERGES.__getitem__), []
        for token in tokens:
            if joined and (joined[-1], token) == best:
                joined[-1] = ALL_MERGES[best]
            else:
                joined.append(token)
        tokens = joined
    return tokens


@given(st.text(alphabet="abeinst", min_size=1, max_size=200))
def test_words_merge_as_in_the_published_algorithm(word):
    single = [tokenizer.encode(letter)[0] - 256 for letter in "abeinst"]
    ends = dict(zip("abeinst", single, strict=True))
    tokens = [ends[letter] for letter in word]
    tokens[-1] += 256
    assert tokenizer.encode(word) == merged_in_rounds(tokens)


@pytest.mark.parametrize("text", HARD_STRINGS, ids=ascii)
def test_hard_strings_give_the_ids_of_transformers(text, transformers_tokenizer):
    # Transformers knows neither ftfy nor HTML, so it gets the cleaned text; it normalizes to NFC
    # once more, which CLIP does not, so the cleaned hard strings must be NFC to be comparable.
    cleaned = clean(text)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert (
        tokenizer([text], context_length=10**6)[0].tolist()
        == transformers_tokenizer(cleaned)["input_ids"]
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("< e&#769;", "transformers composes the accent that an entity brought; CLIP does not"),
        ("long'\u017f", "CLIP ignores case in 's, and long s is a lower-case form of S"),
    ],
)
def test_transformers_differs_from_clip_only_where_known(text, why, transformers_tokenizer):
    assert [START, *tokenizer.encode(text), END] != transformers_tokenizer(clean(text))[
        "input_ids"
    ], why


@pytest.mark.slow
def test_all_shared_captions_give_the_ids_of_transformers(captions, transformers_tokenizer):
    expected = transformers_tokenizer([clean(caption) for caption in captions])["input_ids"]
    assert len(captions) >= 41603  # the folder may hold further collections
    assert [[START, *tokenizer.encode(caption), END] for caption in captions] == expected


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=60))
def test_plain_text_takes_a_short_way_with_the_same_end(text):
    # The unprintable character sends the text the long way; ftfy removes it.
    assert clean(text) == clean(text + "\x00")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  A  Photo\tOF\r\n a CAT ", "a photo of a cat"),
        ("fish &amp;amp; chips", "fish & chips"),
        ("<b> &amp;amp; <i>", "<b> & <i>"),
        ("donâ€™t", "don't"),
        ("cafe\u0301", "caf\u00e9"),
        ("Ｆｕｌｌ　１２", "full 12"),
        ("bell\u0007 esc\u001b[31m", "bell esc"),
        ("lone \ud83d", "lone \ufffd"),
    ],
)
def test_text_is_cleaned_as_for_clip(text, cleaned):
    assert clean(text) == cleaned


@given(st.lists(words, min_size=1))
def test_decoding_returns_lower_case_words(some_words):
    text = " ".join(some_words)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(anything.filter(lambda text: "|>" not in text))  # words that CLIP reads as START or END
def test_decoding_changes_only_the_spaces_of_a_text(text):
    decoded = tokenizer.decode(tokenizer.encode(text))
    assert "".join(decoded.split()) == "".join(clean(text).split())


def test_the_words_of_clip_for_start_and_end_are_read_as_such():
    assert tokenizer.encode("<|startoftext|> a <|EndOfText|>") == [START, 320, END]


@pytest.mark.parametrize("text", ["🐱 猫 é", "naïve ångström", "привет мир"])
def test_decoding_returns_words_of_any_script(text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_decoding_stops_at_the_end_and_survives_half_a_character():
    row = tokenizer(["a cat", "a much longer text than that"])[0].tolist()
    assert tokenizer.decode(row) == "a cat"
    assert tokenizer.decode(tokenizer.encode("\U0001f9ff")[:1]) == "\ufffd"


@given(st.lists(anything, max_size=5))
def test_rows_are_start_text_end_and_zeros_up_to_the_longest(texts):
    rows = tokenizer(texts, context_length=10**4)
    counts = [tokenizer.count(text) for text in texts]
    assert rows.dtype == torch.int64
    assert rows.shape == (len(texts), max(counts, default=2))
    for row, text, count in zip(rows.tolist(), texts, counts, strict=True):
        assert row[:count] == [START, *tokenizer.encode(text), END]
        assert not any(row[count:])


@pytest.mark.parametrize("length", [2, 3, 12, 77])
def test_cut_texts_keep_their_beginning_and_end_in_end(length):
    whole = tokenizer(["a cat " * 100], context_length=1000)[0]
    cut = tokenizer(["a cat " * 100, "cat"], context_length=length)
    assert cut.shape == (2, length)
    assert cut[0].tolist() == [*whole[: length - 1].tolist(), END]


def test_a_text_that_just_fits_is_neither_cut_nor_refused():
    text = "cat " * 75
    assert tokenizer.count(text) == 77
    assert tokenizer([text], overlong="refuse").tolist() == [[START, *[2368] * 75, END]]


def test_a_refused_text_is_named_with_its_tokens_and_the_limit():
    with pytest.raises(InputError, match=r"^the text 'cat cat.*\.\.\.' has 78 tokens.* the 77 "):
        tokenizer(["dog", "cat " * 76], overlong="refuse")


def test_one_string_in_place_of_a_list_is_refused():
    with pytest.raises(InputError, match="texts is the single string 'cat'; give a list"):
        tokenizer("cat")


def test_a_word_of_a_hundred_thousand_letters_takes_no_square_time():
    text = "ab" * 50_000
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_tokenizer_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(tokenizer)).encode("cat") == [2368]


@pytest.mark.parametrize("size", [514, 1000, 4096, 49407])
def test_a_smaller_vocabulary_spells_the_same_text_with_its_first_merges(size):
    small = Tokenizer(size)
    for text in ("a photo of two mushrooms.", "Ünïcödé 日本", "antidisestablishmentarianism"):
        ids = small.encode(text)
        assert max(ids) < size - 2
        assert small.decode(ids) == tokenizer.decode(tokenizer.encode(text))


def test_a_smaller_vocabulary_merges_as_if_later_merges_had_not_been_learned():
    limit = 1000
    merges = {pair: token for pair, token in ALL_MERGES.items() if token < limit}
    for word in ("mushroom", "balloons", "the", "snow"):
        ids = list(word.encode().translate(_BYTE_IDS))
        ids[-1] += 256
        while pairs := [pair for pair in pairwise(ids) if pair in merges]:
            first = min(pairs, key=merges.__getitem__)
            place = list(pairwise(ids)).index(first)
            ids[place : place + 2] = [merges[first]]
        assert Tokenizer(limit + 2).encode(word) == ids


def test_start_and_end_are_the_last_two_of_any_vocabulary():
    assert Tokenizer(600)([""]).tolist() == [[598, 599]]
    assert Tokenizer(600).decode([598, *Tokenizer(600).encode("sun"), 599, 3]) == "sun"


@pytest.mark.parametrize("size", [0, 513, 49409])
def test_a_vocabulary_that_cannot_be_is_refused(size):
    with pytest.raises(InputError, match="from 514 to 49408"):
        Tokenizer(size)
