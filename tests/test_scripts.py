"""Every script of scripts/ runs; some are tested beside what they make."""

import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from groupvit.model.inference import InferenceConfig
from groupvit.text.background import Background
from groupvit.text.coverage import Coverage
from groupvit.weights import catalogue, checkpoint
from groupvit.weights.checkpoint import Origin
from tests import lively

ROOT = Path(__file__).parents[1]
TESTED = {
    "build_release",
    "build_site.py",  # tests/docs/test_site.py
    "bundle_model.py",
    "check",  # runs this test, and smoke
    "check_alone",
    "draw_architecture.py",  # tests/docs/test_architecture.py
    "draw_example.py",
    "draw_how_it_works.py",
    "draw_photographs.py",
    "make_palette.py",  # tests/test_palette.py
    "smoke",
}


def main(script):
    return runpy.run_path(str(ROOT / "scripts" / script))["main"]


def test_no_script_is_left_untested():
    assert {path.name for path in (ROOT / "scripts").iterdir() if path.is_file()} == TESTED


def test_the_example_image_is_what_its_script_draws(tmp_path):
    main("draw_example.py")(tmp_path / "harbour.png")
    drawn, kept = (
        np.asarray(Image.open(path), dtype=int)
        for path in (tmp_path / "harbour.png", ROOT / "examples" / "harbour.png")
    )
    assert np.abs(drawn - kept).mean() < 0.5


@pytest.mark.parametrize("name", ["build_release", "check", "check_alone", "smoke"])
def test_shell_scripts_can_be_parsed(name):
    subprocess.run(["bash", "-n", str(ROOT / "scripts" / name)], check=True)


def test_a_release_needs_a_tag_of_this_version():
    script = str(ROOT / "scripts" / "build_release")
    refused = subprocess.run([script, "v99.0"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "the tag is v99.0, but the version is" in refused.stdout


def test_the_images_of_how_it_works_are_drawn(tmp_path):
    main("draw_how_it_works.py")(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "how-gumbel.png",
        "how-soft.jpg",
        "how-stages.jpg",
    }


def test_the_figure_of_photographs_is_drawn_by_any_model(tmp_path):
    checkpoint.save(tmp_path / "model", lively.lively_model(), Origin(source="a test"))
    main("draw_photographs.py")(str(tmp_path / "model"), tmp_path / "figure.jpg")
    with Image.open(tmp_path / "figure.jpg") as figure:
        assert 800 < max(figure.size) <= 1600


def test_a_model_is_bundled_with_its_settings_in_half_precision(tmp_path):
    inference, background = InferenceConfig(short_side=48), Background(threshold=0.25)
    source = tmp_path / "trained"
    model = lively.lively_model()
    origin = Origin(source="a test")
    coverage = Coverage(domain="parks", nouns={"dog": 3})
    checkpoint.save(
        source, model, origin, inference=inference, background=background, coverage=coverage
    )
    main("bundle_model.py")("storybook", str(source), tmp_path / "bundled")
    bundled = catalogue.load(str(tmp_path / "bundled"))
    assert (bundled.inference, bundled.background) == (inference, background)
    assert bundled.coverage == coverage
    assert bundled.origin.source.startswith("configs/storybook.toml")
    for name, weight in bundled.model.state_dict().items():
        expected = model.state_dict()[name]
        stored = expected.half() if expected.ndim > 1 else expected
        torch.testing.assert_close(weight, stored.to(weight.dtype))


def test_the_class_names_of_a_run_that_stored_none_are_found_from_its_nouns():
    with_names = runpy.run_path(str(ROOT / "scripts" / "bundle_model.py"))["with_names"]
    coverage = with_names(Coverage(domain="parks", nouns={"bus": 2, "bear": 1}))
    assert {"bus", "dog", "brown bear"} <= set(coverage.distilled)
    assert "school bus" not in coverage.distilled
    assert with_names(coverage) == coverage


def test_the_list_of_checks_is_a_valid_script():
    checked = subprocess.run(["bash", "-n", ROOT / "scripts" / "check"], check=False)
    assert checked.returncode == 0
