"""The notebook runs, with small numbers."""

import json
import re

import pytest

from groupvit.text.coverage import Coverage
from tests.docs.commands import ROOT

NOTEBOOK = ROOT / "examples/first-steps.ipynb"
SIZES = r"SCENES, MEASURED, STEPS, WARMUP, BATCH = .*"
SMALL = "SCENES, MEASURED, STEPS, WARMUP, BATCH = 40, 2, 4, 1, 4"


def cells():
    values = json.loads(NOTEBOOK.read_text("utf-8"))
    assert values["nbformat"] == 4
    return [cell for cell in values["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::groupvit.segmentation.known_words.UnknownWordWarning")
def test_the_notebook_runs_from_a_photograph_to_a_trained_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "\n".join("".join(cell["source"]) for cell in cells())
    # Commands return their exit code, which a notebook shows.
    code = re.sub(r"^groupvit\(", "assert 0 == groupvit(", code, flags=re.M)
    small, count = re.subn(SIZES, SMALL, code)
    assert count == 1
    names = {"__name__": "__main__"}
    exec(compile(small, NOTEBOOK, "exec"), names)
    assert names["mine"].coverage != Coverage()
    assert "cat" in names["result"].masks
    assert (tmp_path / "report").is_dir()


def test_the_notebook_is_stored_without_results():
    for cell in cells():
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
