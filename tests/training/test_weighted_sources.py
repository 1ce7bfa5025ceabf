"""A run on sources with weights: resumed, and called back at every step of its log."""

from dataclasses import replace

import pytest

from groupvit.data.config import SourceConfig
from groupvit.errors import InputError
from groupvit.training.trainer import train
from tests.training.runs import equal, trace, weights


class StopError(Exception):
    """Ends a run from its callback."""


@pytest.fixture
def mixed(config, shards):
    """Settings of a run on two sources."""
    first, second = (shards.replace("{000..001}", f"00{number}") for number in (0, 1))
    sources = (SourceConfig(shards=(first,), weight=3.0), SourceConfig(shards=(second,)))
    return replace(config, data=replace(config.data, shards=(), sources=sources))


def test_a_run_on_sources_resumes_bit_for_bit(mixed, tmp_path):
    whole, cut = (replace(mixed, out=str(tmp_path / name)) for name in ("whole", "cut"))
    got = []
    assert train(whole, on_record=lambda step, record: got.append((step, record["loss"]))) == 0
    assert got == [(step, loss) for step, loss, *_ in trace(whole.out)]

    def stop(step, _record):
        if step == 5:
            raise StopError

    with pytest.raises(StopError):
        train(cut, on_record=stop)
    other = replace(mixed.data.sources[0], weight=1.0)
    with pytest.raises(
        InputError, match=r"data\.sources was .*resume with --changed data\.sources"
    ):
        train(
            replace(cut, data=replace(cut.data, sources=(other, mixed.data.sources[1]))),
        )
    assert train(cut) == 0
    assert trace(cut.out) == trace(whole.out)
    assert equal(weights(cut.out), weights(whole.out))
