"""What the numbers of docs/speed.md rest on."""

import re

import pytest
import torch
from torch.nn import functional as F

from benchmarks.contest import Contest, compare, in_turn, markdown
from benchmarks.learning import plain_loss
from benchmarks.page import PAGE, put, put_without_amx
from groupvit.training.losses import contrastive, multi_label


def test_both_sides_run_in_turn_and_the_warm_up_does_not_count():
    order = []
    times = in_turn([lambda: order.append("ours"), lambda: order.append("theirs")], 3)
    assert order == ["ours", "theirs"] * 5
    assert [len(some) for some in times] == [3, 3]


def test_a_ratio_says_how_many_times_as_long_they_take(monkeypatch):
    monkeypatch.setattr("benchmarks.contest.seconds", lambda run: run())
    rows = compare([Contest("work", lambda: 0.002, lambda: 0.007)], 5)
    assert rows == [["work", "2 ± 0", "7 ± 0", "**3.5**"]]


def test_tables_go_to_their_places_and_nowhere_else():
    page = "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\n<!-- end -->\n"
    table = markdown(("x",), [["1"]])
    assert put(put(page, "one", table), "one", "new") == page.replace("old", "\nnew\n")
    assert put(page, "two", table).startswith(page[:30])
    with pytest.raises(SystemExit, match="0 places for 'three'"):
        put(page, "three", table)


def test_tables_of_different_processors_stand_apart():
    page = "a\n<!-- one -->\nold\n<!-- end -->\nb\n"
    both = put_without_amx(page, "one", "first")
    assert both.startswith(page[:-2])
    again = put_without_amx(both, "one", "second")
    assert again == both.replace("first", "second")
    assert put(again, "one", "new").count("second") == 1
    with pytest.raises(SystemExit, match="0 places for 'three, without AMX'"):
        put_without_amx(page, "three", "x")


def test_the_ratio_comes_first():
    table = markdown(("", "ours", "theirs", "ratio", "more"), [["x", "1", "2", "3", "4"]])
    assert table.splitlines()[0] == "|  | ratio | ours | theirs | more |"
    assert table.splitlines()[2] == "| x | 3 | 1 | 2 | 4 |"


def test_no_place_of_the_page_is_empty():
    places = re.findall(r"<!-- (?!end)(.+?) -->\n(.*?)<!-- end -->", PAGE.read_text(), re.DOTALL)
    assert len(places) > 20
    assert not [name for name, text in places if not text.strip()]


def test_the_plain_loop_learns_by_the_losses_that_ours_has(draw):
    image, texts, scale = draw(4, 8), draw(4 * 3, 8, seed=1), torch.tensor(14.0)
    image, prompts = F.normalize(image, dim=-1), F.normalize(texts, dim=-1).reshape(4, 3, 8)
    alone = {"gather": lambda x: x, "rank": 0}
    ours = contrastive(image, prompts[:, 0], scale, **alone) + multi_label(
        image, prompts[:, 1:], scale, form="code", **alone
    )
    torch.testing.assert_close(plain_loss(image, texts, scale), ours)
