import pytest

from groupvit.cli.storybook import storybook
from groupvit.errors import InputError


def test_the_command_says_what_is_where(tmp_path, capsys):
    arguments = {"num": 3, "size": 16, "test": 2, "workers": 1}
    assert storybook(out=tmp_path / "book", **arguments) == 0
    printed = capsys.readouterr().out
    for expected in ("book/pairs", "book/test", "book/sheet.png", "mushroom", "5 images", "%"):
        assert expected in printed


def test_without_a_benchmark_none_is_printed(tmp_path, capsys):
    assert storybook(out=tmp_path, num=1, size=16, test=0, workers=1) == 0
    assert "benchmark with masks" not in capsys.readouterr().out
    assert not (tmp_path / "test").exists()


def test_the_command_refuses_to_overwrite(tmp_path):
    storybook(out=tmp_path, num=1, size=16, test=0, workers=1)
    with pytest.raises(InputError, match="exists already"):
        storybook(out=tmp_path, num=1, size=16, test=0, workers=1)


def test_a_patterned_book_has_the_same_masks_and_other_images(tmp_path):
    for name, patterned in (("plain", False), ("patterned", True)):
        storybook(out=tmp_path / name, num=1, size=16, test=1, workers=1, patterned=patterned)
    for kind, same in (("masks/000000.png", True), ("images/000000.jpg", False)):
        first, second = (tmp_path / one / "test" / kind for one in ("plain", "patterned"))
        assert (first.read_bytes() == second.read_bytes()) == same
    sheets = [(tmp_path / one / "sheet.png").read_bytes() for one in ("plain", "patterned")]
    assert sheets[0] != sheets[1]
