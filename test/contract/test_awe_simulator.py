"""The simulator answers as the real AWE did."""

import pytest
from awe_replay import HAPPENED_BEFORE, Replay, exchanges, left_out

from test.awe_simulator.model import Version


@pytest.mark.parametrize("version", list(Version))
def test_every_recorded_exchange_goes_as_it_went_with_the_real_server(version: Version) -> None:
    replay = Replay(version)
    wrong = []
    for exchange in exchanges(version):
        if exchange["name"] not in left_out():
            recorded, answered = replay.tell(exchange)
            if recorded != answered:
                wrong.append((exchange["name"], recorded, answered))
    replay.end()
    assert wrong == []


@pytest.mark.parametrize("version", list(Version))
def test_what_is_left_out_and_what_happened_was_recorded(version: Version) -> None:
    names = {exchange["name"] for exchange in exchanges(version)}
    assert left_out() <= names
    assert set(HAPPENED_BEFORE) <= names
    assert len(names - left_out()) >= 125
