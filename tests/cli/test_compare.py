import json

import pytest

from tests.evaluation.folders import write_folder


@pytest.fixture
def evaluated(run, model, tmp_path):
    """Evaluates the model with some settings; gives the folder."""
    folder = write_folder(tmp_path / "book", num=2)

    def evaluated(name, *settings):
        out = tmp_path / name
        assert run("evaluate", folder, "--model", model, "--out", out, *settings)[0] == 0
        return out

    return evaluated


def test_scores_stand_side_by_side_with_their_gain(run, evaluated):
    first, second = evaluated("first"), evaluated("second")
    values = json.loads((second / "scores.json").read_text())
    values["scores"]["miou"] += 0.1
    (second / "scores.json").write_text(json.dumps(values))
    code, printed, _ = run("compare", first, second / "scores.json")
    assert code == 0
    assert "(+10.0)" in printed
    for name in ("mIoU", "oracle, stage 2", "boundary mIoU", "sky"):
        assert name in printed
    assert "do not compare" not in printed


def test_different_protocols_are_not_compared_in_silence(run, evaluated):
    first = evaluated("first")
    second = evaluated("second", "--protocol", "groupvit", "--short-side", 32)
    code, printed, told = run("compare", first, second)
    assert (code, printed) == (2, "")
    for difference in ("protocol (ours / groupvit)", "deviations (none / short_side 32 instead"):
        assert difference in told
    code, printed, _ = run("compare", first, second, "--anyway")
    assert code == 0
    assert "do not compare" in printed
    assert "short_side 32 instead of 448" in printed


@pytest.mark.parametrize(
    ("text", "complaint"),
    [(None, "make it with groupvit evaluate --out"), ("{", "is no evaluation"), ("{}", "it lacks")],
)
def test_what_is_no_evaluation_is_named(run, evaluated, text, complaint):
    other = evaluated("first").parent / "other.json"
    if text is not None:
        other.write_text(text)
    code, _, told = run("compare", other.parent / "first", other)
    assert code == 2
    assert "other.json" in told
    assert complaint in told


def test_one_alone_cannot_be_compared(run, evaluated):
    assert "give at least two" in run("compare", evaluated("first"))[2]
