import logging
import pickle
import subprocess
import sys

import pytest
import torch
from torch.utils._pytree import tree_leaves

from groupvit.data import loader as loader_module
from groupvit.data.captions import identity
from groupvit.data.config import DataConfig, SourceConfig
from groupvit.data.loader import Batches, stream
from groupvit.errors import InputError
from groupvit.text.templates import FULL
from groupvit.text.tokenizer import Tokenizer
from tests.data.pairs import WORDS, sample, write_shards, write_tar


@pytest.fixture
def config(tmp_path):
    return settings(write_shards(tmp_path / "pairs", 9, 7, 6))


def settings(*shards, **others):
    return DataConfig(**{"shards": shards, "batch_size": 4} | others)


def batches(config, *, seed=0, **options):
    return Batches(config, Tokenizer(), seed=seed, image_size=16, **options)


def same(first, second):
    tensors = zip(tree_leaves(first), tree_leaves(second), strict=True)
    return all(torch.equal(a, b) if torch.is_tensor(a) else a == b for a, b in tensors)


def numbers(batch):
    """The samples of a batch, as their brightness tells."""
    return (batch.images.float().mean(dim=(1, 2, 3)) / 3).round().int().tolist()


def test_a_batch_has_images_texts_and_nouns(config):
    batch = batches(config)[0]
    assert batch.images.shape == (4, 3, 16, 16)
    assert batch.images.dtype == torch.uint8
    assert batch.tokens.shape[:2] == (4, 4)
    assert batch.prompt_nouns.shape == (4, 3)
    assert batch.caption_nouns.shape == (4, 16)
    assert batch.damaged == 0


def test_image_caption_and_nouns_are_of_the_same_sample(config):
    batch = batches(config)[1]
    for row, number in enumerate(numbers(batch)):
        assert batch.caption_nouns[row, 0] == identity(WORDS[number % len(WORDS)])
        caption = Tokenizer().decode(batch.tokens[row, 0].tolist())
        assert caption.replace(" ", "").endswith(str(number))


def test_prompts_put_their_noun_into_a_template(config):
    batch = batches(config)[0]
    word_of = {identity(word): word for word in (*WORDS, "hill", "number")}
    filled = 0
    for texts, nouns in zip(batch.tokens, batch.prompt_nouns.tolist(), strict=True):
        prompts = [Tokenizer().decode(text.tolist()) for text in texts[1:]]
        for prompt, noun in zip(prompts, nouns, strict=True):
            if noun in word_of:
                known = [Tokenizer().encode(t.replace("{}", word_of[noun])) for t in FULL]
                assert Tokenizer().encode(prompt) in known
                filled += 1
    assert filled > 4


def test_batches_depend_on_their_step_alone(config):
    one, other = batches(config), batches(config)
    order = [3, 0, 7, 1, 3]
    assert all(same(one[step], other[step]) for step in order)
    assert same(one[3], batches(config)[3])


def test_another_seed_or_epoch_gives_other_batches(config):
    one = batches(config)
    assert not same(one[0], batches(config, seed=1)[0])
    assert not same(one[0], one[one.steps_per_epoch])


def test_an_epoch_visits_every_sample_once_but_for_the_last_few(config):
    data = batches(config)
    assert data.num_samples == 22
    assert data.steps_per_epoch == 5
    for epoch in range(3):
        seen = [n for step in range(5) for n in numbers(data[5 * epoch + step])]
        assert len(set(seen)) == 20


def test_crops_and_captions_differ_between_epochs(config):
    one = batches(settings(*config.shards, batch_size=22))
    captions = [{tuple(row[0]) for row in one[step].tokens.tolist()} for step in range(2)]
    assert captions[0] != captions[1]


def test_two_ranks_see_what_one_process_sees(config):
    whole = batches(settings(*config.shards, batch_size=8))
    ranks = [batches(config, rank=rank, world_size=2) for rank in range(2)]
    assert {rank.steps_per_epoch for rank in ranks} == {whole.steps_per_epoch} == {2}
    for step in range(4):
        parts = [rank[step] for rank in ranks]
        for name in ("images", "prompt_nouns", "caption_nouns"):
            joined = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(joined, getattr(whole[step], name))
        texts = [row for part in parts for row in part.tokens.flatten(0, 1).tolist()]
        expected = whole[step].tokens.flatten(0, 1).tolist()
        assert [Tokenizer().decode(t) for t in texts] == [Tokenizer().decode(t) for t in expected]


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_workers_change_nothing(config, num_workers):
    data = batches(config)
    streamed = list(stream(data, start=0, stop=7, num_workers=num_workers))
    assert all(same(batch, data[step]) for step, batch in enumerate(streamed))
    assert len(streamed) == 7


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_run_resumes_in_the_middle_of_an_epoch(config, num_workers):
    data = batches(config)
    resumed = list(stream(data, start=3, stop=8, num_workers=num_workers))
    assert all(same(batch, data[3 + step]) for step, batch in enumerate(resumed))


def test_a_stream_leaves_the_random_numbers_of_others_alone(config):
    before = torch.get_rng_state()
    list(stream(batches(config), start=0, stop=2, num_workers=0))
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_go_to_other_processes_without_their_open_files(config):
    data = batches(config)
    expected = data[2]
    assert same(pickle.loads(pickle.dumps(data))[2], expected)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_workers_may_be_started_in_any_way(config, start):
    code = (
        "import torch, warnings\n"
        "from groupvit.data.config import DataConfig\n"
        "from groupvit.data.loader import Batches, stream\n"
        "from groupvit.text.tokenizer import Tokenizer\n"
        "if __name__ == '__main__':\n"
        f"    torch.multiprocessing.set_start_method({start!r})\n"
        f"    config = DataConfig(shards={config.shards!r}, batch_size=4)\n"
        "    data = Batches(config, Tokenizer(), seed=0, image_size=16)\n"
        "    for step, batch in enumerate(stream(data, start=0, stop=2, num_workers=1)):\n"
        "        assert torch.equal(batch.images, data[step].images)\n"
        "        assert torch.equal(batch.tokens, data[step].tokens)\n"
    )
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_prompts_texts_are_captions(config):
    batch = batches(settings(*config.shards, num_prompts=0))[0]
    assert batch.tokens.shape[1] == 1
    assert batch.prompt_nouns.shape == (4, 0)


def test_a_short_text_encoder_gets_short_texts(config):
    assert batches(config, context_length=6)[0].tokens.shape[2] == 6


def test_a_damaged_sample_is_replaced_by_the_next_and_counted(tmp_path):
    parts = [sample(number) for number in range(8)]
    parts[3][0] = ("000003.jpg", b"no image")
    parts[7][0] = ("000007.jpg", parts[7][0][1][:200])
    path = write_tar(tmp_path / "a.tar", [part for pair in parts for part in pair])
    data = batches(settings(str(path), batch_size=8))
    for step in range(2):
        assert sorted(numbers(data[step])) == [0, 0, 1, 2, 4, 4, 5, 6]
        assert data[step].damaged == 2
        assert same(data[step], batches(settings(str(path), batch_size=8))[step])


def test_an_image_without_its_last_bytes_is_read_and_counted(tmp_path):
    parts = [sample(number) for number in range(8)]
    parts[3][0] = ("000003.jpg", parts[3][0][1][:-2])
    path = write_tar(tmp_path / "a.tar", [part for pair in parts for part in pair])
    data = batches(settings(str(path), batch_size=8))
    assert sorted(numbers(data[0])) == list(range(8))
    assert data[0].damaged == 1


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_lost_shard_ends_the_run_in_one_sentence(tmp_path, num_workers):
    parts = [[(f"{n}.jpg", b"no image"), (f"{n}.txt", "a dog")] for n in range(30)]
    path = write_tar(tmp_path / "lost.tar", [part for pair in parts for part in pair])
    data = batches(settings(str(path)))
    sentence = r"^\S*lost\.tar: 20 images in a row cannot be decoded \(.*\); get a whole copy"
    with pytest.raises(InputError, match=sentence) as mistake:
        list(stream(data, start=0, stop=1, num_workers=num_workers))
    assert "\n" not in str(mistake.value)


def test_a_shard_that_was_cut_after_indexing_counts_as_damage(tmp_path):
    pattern = write_shards(tmp_path / "pairs", 12)
    data = batches(settings(pattern, batch_size=12))
    path = tmp_path / "pairs" / "train-000.tar"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert data[0].damaged > 0


def test_a_removed_shard_is_named(tmp_path):
    pattern = write_shards(tmp_path / "pairs", 12)
    data = batches(settings(pattern))
    (tmp_path / "pairs" / "train-000.tar").unlink()
    with pytest.raises(InputError, match=r"train-000\.tar cannot be read: No such file"):
        data[0]


def test_few_files_are_open_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("groupvit.data.shards.OPEN_FILES", 2)
    data = batches(settings(write_shards(tmp_path / "pairs", *[2] * 6), batch_size=12))
    assert len(set(numbers(data[0]))) == 12
    assert len(data._readers._open) == 2


def test_fewer_samples_than_a_batch_are_refused(config):
    sentence = "hold 22 samples, less than one batch of 24 .12 for each of 2 ranks.; give more"
    with pytest.raises(InputError, match=sentence):
        batches(settings(*config.shards, batch_size=12), world_size=2)


def test_the_reason_of_few_samples_is_reported(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("a.0001.jpg", b"image"), ("a.txt", "a dog")])
    sentence = (
        "hold 0 samples.*; left out: foreign suffix 1, no image 1 .suffixes begin at the first"
    )
    with pytest.raises(InputError, match=sentence):
        batches(settings(str(path)))


def test_indexing_is_reported_and_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    calls = []
    pattern = write_shards(tmp_path / "pairs", 4, 4)
    batches(settings(pattern), on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    assert "indexing" in caplog.text
    assert loader_module.MOST_DAMAGED == 20


@pytest.fixture
def sources(tmp_path):
    """Sources of numbers 0 to 15 and 16 to 21, the first three times as often."""
    pattern = write_shards(tmp_path / "pairs", 9, 7, 6)
    first, second, third = (pattern.replace("{000..002}", f"00{n}") for n in range(3))
    return (
        SourceConfig(shards=(first, second), weight=3.0),
        SourceConfig(shards=(third,)),
    )


def test_sources_share_every_batch_by_weight(sources):
    found = batches(settings(sources=sources))
    for step in range(20):
        assert sum(number >= 16 for number in numbers(found[step])) == 1


def test_a_batch_of_sources_depends_on_the_step_alone(sources):
    config = settings(sources=sources)
    whole = [batches(config)[step] for step in range(12)]
    resumed = batches(config)
    assert all(same(resumed[step], whole[step]) for step in (7, 11, 2))
    joint = batches(settings(sources=sources, batch_size=8))
    for step in range(6):
        parts = [batches(config, rank=rank, world_size=2)[step] for rank in range(2)]
        assert [*numbers(parts[0]), *numbers(parts[1])] == numbers(joint[step])


def test_shards_and_sources_exclude_each_other(sources):
    with pytest.raises(InputError, match=r"data\.shards and data\.sources are both given"):
        settings("a.tar", sources=sources)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_a_weight_is_a_number_above_zero(weight):
    with pytest.raises(InputError, match=r"the weight of a source is .*; give a number above 0"):
        SourceConfig(shards=("a.tar",), weight=weight)


def test_a_source_without_shards_or_samples_is_refused(sources, tmp_path):
    with pytest.raises(InputError, match="a source has no shards"):
        SourceConfig(shards=())
    empty = SourceConfig(shards=(str(write_tar(tmp_path / "empty.tar", [])),))
    with pytest.raises(InputError, match=r"the source '.*empty\.tar' holds no samples"):
        batches(settings(sources=(*sources, empty)))
