import pytest

from tests.data.pairs import write_shards
from tests.training.conftest import SETTINGS


@pytest.fixture
def settings(tmp_path):
    """A settings file of a run that takes a moment."""
    shards = write_shards(tmp_path / "shards", 9)
    path = tmp_path / "tiny.toml"
    path.write_text(SETTINGS.format(out=tmp_path / "run", shards=shards))
    return path


def test_a_run_on_other_devices_is_planned_and_nothing_is_written(run, settings, tmp_path):
    code, printed, complaint = run("plan", settings, "--kind", "h200", "--devices", "8")
    assert (code, complaint) == (0, "")
    assert "at 20% of the 67 TFLOP/s of h200 in float32" in printed
    assert "of exchange" in printed
    assert "of 141.0 GB for each device" in printed
    assert "device hours" in printed
    assert not (tmp_path / "run").exists()


def test_options_of_train_change_the_plan(run, settings):
    wide = run("plan", settings, "--kind", "l4", "--data.batch-size", "8")[1]
    assert "steps of 8 pairs" in wide
    assert "encodings" in run("plan", settings, "--kind", "l4", "--chunk", "2")[1]


def test_a_run_here_is_timed(run, settings):
    assert "timed on this machine" in run("plan", settings)[1]


def test_made_up_texts_are_owned_up_to(run, settings):
    printed = run("plan", settings, "--kind", "l4", "--data.shards", "none.tar")[1]
    assert "captions are taken to have 16 tokens" in printed
    assert "none.tar" in printed


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--devices", "0", "--kind", "h200"), "--devices is 0; give at least 1"),
        (("--devices", "2"), "give their --kind too"),
        (("--kind", "h200", "--efficiency", "20"), "--efficiency is 20.0; give a share"),
        (("--kind", "h200", "--link", "-1"), "--link is -1.0"),
    ],
)
def test_mistakes_are_told(run, settings, options, says):
    code, _, complaint = run("plan", settings, *options)
    assert code == 2
    assert says in complaint
