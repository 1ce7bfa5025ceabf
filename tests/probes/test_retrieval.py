import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groupvit.data import index
from groupvit.errors import InputError
from groupvit.probes.retrieval import recall, retrieval
from tests.data.pairs import sample, write_shards, write_tar
from tests.lively import lively_model


@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 99))
def test_recall_equals_a_loop_over_questions(questions, answers, seed):
    generator = torch.Generator().manual_seed(seed)
    similarity = torch.randint(0, 4, (questions, answers), generator=generator).float()
    right = torch.rand(questions, answers, generator=generator) < 0.4
    right[:, 0] |= ~right.any(dim=1)
    places = []
    for row, good in zip(similarity.tolist(), right.tolist(), strict=True):
        order = sorted(range(answers), key=lambda i: (-row[i], good[i]))  # wrong before right
        places.append(1 + next(place for place, i in enumerate(order) if good[i]))
    found = recall(similarity, right, cutoffs=(1, 3))
    for cutoff in (1, 3):
        expected = sum(place <= cutoff for place in places) / questions
        assert found.at[cutoff] == pytest.approx(expected)
    assert found.median_rank == torch.tensor(places).float().quantile(0.5).item()


def test_a_model_that_finds_everything_alike_finds_nothing():
    found = recall(torch.zeros(20, 20), torch.eye(20) > 0)
    assert set(found.at.values()) == {0.0}
    assert found.median_rank == 20


@pytest.fixture
def shards(tmp_path):
    write_shards(tmp_path, 5, 3)
    return sorted(tmp_path.glob("*.tar"))


def test_every_image_and_caption_of_all_shards_takes_part(shards):
    done = []
    found = retrieval(
        lively_model(), index.prepare(shards, None), on_progress=lambda *x: done.append(x)
    )
    assert (found.num_images, found.num_captions, found.num_damaged) == (8, 16, 0)
    assert found.captions.at[10] == 1.0  # fewer wrong answers than places
    assert done[-1] == (8, 8)


def test_a_image_and_its_caption_that_are_near_find_each_other(shards, monkeypatch):
    model = lively_model()
    number = lambda pixels: (pixels[:, 0, 0, 0] * 58.395 + 123.675).round().div(3).long()  # noqa: E731
    embed = model.embed_image

    def embed_image(pixels, **options):
        near = torch.nn.functional.one_hot(number(pixels), 8).float()
        return embed(pixels, **options)._replace(image=near)

    texts = []

    def encode_text(tokens):
        texts.append(len(tokens))
        return torch.eye(8).repeat_interleave(2, dim=0)[sum(texts) - len(tokens) : sum(texts)]

    monkeypatch.setattr(model, "embed_image", embed_image)
    monkeypatch.setattr(model, "encode_text", encode_text)
    found = retrieval(model, index.prepare(shards, None))
    assert found.captions.at == found.images.at == {1: 1.0, 5: 1.0, 10: 1.0}
    assert found.captions.median_rank == 1


def test_damaged_images_are_left_out_with_their_captions_and_counted(tmp_path):
    parts = [*sample(0), *sample(1), ("000002.jpg", b"no image"), ("000002.txt", "a dog")]
    found = retrieval(lively_model(), index.prepare([write_tar(tmp_path / "a.tar", parts)], None))
    assert (found.num_images, found.num_captions, found.num_damaged) == (2, 4, 1)


def test_shards_without_a_sound_image_are_refused(tmp_path):
    parts = [("0.jpg", b"no image"), ("0.txt", "a dog")]
    shard = write_tar(tmp_path / "a.tar", parts)
    with pytest.raises(InputError, match="groupvit pairs"):
        retrieval(lively_model(), index.prepare([shard], None))
