import json
from dataclasses import replace

from groupvit.evaluation.benchmarks.folder import read_folder
from groupvit.evaluation.reports.values import conditions, deviations
from groupvit.segmentation.protocol import GROUPVIT, OURS, PROTOCOLS, SCLIP
from groupvit.segmentation.segmenter import Segmenter
from groupvit.text.prompts import SUBSET
from groupvit.weights.checkpoint import Origin


def test_known_protocols_deviate_in_nothing():
    assert all(deviations(protocol) == [] for protocol in PROTOCOLS.values())


def test_the_size_that_a_protocol_has_for_a_benchmark_is_no_deviation():
    assert deviations(SCLIP.resized_for("cityscapes"), "cityscapes") == []
    assert [one.name for one in deviations(SCLIP.resized_for("cityscapes"))] == ["short_side"]


def test_every_changed_setting_is_a_deviation():
    changed = replace(GROUPVIT, stride=100, templates=SUBSET)
    assert [deviation.name for deviation in deviations(changed)] == ["stride", "templates"]
    assert list(map(str, deviations(changed))) == [
        "stride 100 instead of 224",
        "templates 7 instead of 1",
    ]


def test_a_report_names_what_was_measured_and_how(lively_model, book):
    protocol = replace(OURS, short_side=40)
    segmenter = Segmenter(lively_model, protocol=protocol, origin=Origin(source="a test"))
    folder = read_folder(book)
    values = conditions(segmenter, folder)
    assert values == json.loads(json.dumps(values))
    assert values["weights"] == "a test"
    assert (values["protocol"], values["dtype"]) == ("ours", "float32")
    assert values["deviations"] == [
        {
            "name": "short_side",
            "value": 40,
            "original": None,
            "told": "short_side 40 instead of none",
        }
    ]
    assert values["benchmark"] == str(book)
