import json
from dataclasses import replace

import pytest
import torch

from groupvit.errors import InputError
from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.measurement import Measurement, deviations, fingerprint
from groupvit.segmentation.protocol import GROUPVIT, OURS, PROTOCOLS, SCLIP
from groupvit.segmentation.refinement import Refinement
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.background import Background
from groupvit.text.coverage import Coverage
from groupvit.text.templates import SUBSET
from groupvit.weights.checkpoint import Origin
from tests.evaluation.folders import with_background


def test_known_protocols_deviate_in_nothing():
    assert all(deviations(protocol) == () for protocol in PROTOCOLS.values())


def test_the_size_that_a_protocol_has_for_a_benchmark_is_no_deviation():
    assert deviations(SCLIP.resized_for("cityscapes"), "cityscapes") == ()
    assert [one.name for one in deviations(SCLIP.resized_for("cityscapes"))] == ["short_side"]


def test_every_changed_setting_is_a_deviation():
    changed = replace(GROUPVIT, stride=100, templates=SUBSET)
    assert [deviation.name for deviation in deviations(changed)] == ["stride", "templates"]
    assert [deviation.description for deviation in deviations(changed)] == [
        "stride 100 instead of 224",
        "templates 7 instead of 1",
    ]


def test_a_protocol_of_ones_own_deviates_from_ours():
    own = deviations(replace(OURS, name="mine", short_side=40))
    assert [deviation.name for deviation in own] == ["name", "short_side"]


def test_a_report_names_what_was_measured_and_how(lively_model, book):
    protocol = replace(OURS, short_side=40)
    segmenter = Segmenter(lively_model, protocol=protocol, origin=Origin(source="a test"))
    folder = read_folder(book)
    values = Measurement.of(segmenter, folder).to_values()
    assert values == json.loads(json.dumps(values))
    assert values["weights"] == "a test"
    assert (values["protocol"], values["dtype"]) == ("ours", "float32")
    assert values["deviations"] == [
        {
            "name": "short_side",
            "value": 40,
            "original": None,
            "description": "short_side 40 instead of none",
        }
    ]
    assert values["benchmark"] == str(book)


@pytest.mark.parametrize(
    "background",
    [None, Background(threshold=0.4, words=("tower",)), Background(thresholds={"sea": 0.9})],
)
def test_measurements_come_back_from_json(lively_model, folder, background):
    protocol = replace(GROUPVIT, refinement=Refinement(), templates=SUBSET)
    segmenter = Segmenter(lively_model, protocol=protocol)
    one = Measurement.of(segmenter, read_folder(with_background(folder)), background)
    values = json.loads(json.dumps(one.to_values()))
    assert Measurement.from_values({**values, "seconds": 1.0}) == one
    with pytest.raises(KeyError):
        Measurement.from_values({"weights": None})


def test_a_background_is_refused_where_a_benchmark_has_none(lively_model, book):
    with pytest.raises(InputError, match="begin with no background; leave its threshold out"):
        Measurement.of(Segmenter(lively_model), read_folder(book), Background(threshold=0.5))


def test_the_fingerprint_follows_every_weight(lively_model, build, tiny_config):
    model = build(tiny_config)
    before = fingerprint(model)
    assert fingerprint(model) == before != fingerprint(lively_model)
    with torch.no_grad():
        model.log_scale += 1e-6
    assert fingerprint(model) != before


def test_labels_expanded_by_the_lexicon_are_part_of_a_measurement(lively_model, book):
    segmenter = Segmenter(lively_model, coverage=Coverage(nouns={"house": 25, "cottage": 25}))
    benchmark = replace(read_folder(book), labels=("house", "zeppelin"))
    one = Measurement.of(segmenter, benchmark)
    assert one.expansions == {"house": ("house", "cottage")}
    assert "1 label expanded by the lexicon" in str(one)
    assert one.parsed() == segmenter.parse(benchmark.labels)
    values = one.to_values()
    assert Measurement.from_values(json.loads(json.dumps(values))) == one
    del values["expansions"]  # of an earlier version
    assert Measurement.from_values(values).expansions == {}
