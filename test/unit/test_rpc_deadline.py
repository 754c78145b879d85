import socket
import time
from collections.abc import Iterator

import pytest

from execution_engine.rpc.deadline import Watch, stop_reading

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_read_that_gets_nothing_ends_with_the_time(pair: Pair) -> None:
    ours, _theirs = pair

    with Watch().over(ours, 0.01) as expiry:
        received = ours.recv(10)

    assert received == b""
    assert expiry.passed


def test_a_read_in_time_leaves_the_connection_alone(pair: Pair) -> None:
    watch = Watch()
    ours, theirs = pair
    other, _other_end = socket.socketpair()
    with other, _other_end:
        with watch.over(ours, 0.01) as expiry:
            pass
        # When this read has been ended, the time of the one before is over too.
        with watch.over(other, 0.02) as later:
            other.recv(10)

    theirs.sendall(b"next request")
    assert ours.recv(100) == b"next request"
    assert not expiry.passed
    assert later.passed


def test_the_answer_can_still_be_written(pair: Pair) -> None:
    ours, theirs = pair
    with Watch().over(ours, 0.01):
        ours.recv(10)

    ours.sendall(b"too late")

    assert theirs.recv(100) == b"too late"


def test_many_reads_are_watched_at_once() -> None:
    watch = Watch()
    pairs = [socket.socketpair() for _ in range(5)]

    watches = [watch.over(ours, 0.01) for ours, _ in pairs]
    expiries = [each.__enter__() for each in watches]
    received = [ours.recv(1) for ours, _ in pairs]
    for each in watches:
        each.__exit__(None, None, None)

    assert received == [b""] * 5
    assert all(expiry.passed for expiry in expiries)
    for ours, theirs in pairs:
        ours.close()
        theirs.close()


def test_the_watch_works_again_after_it_has_fallen_asleep(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execution_engine.rpc.deadline._IDLE_TICKS", 1)
    monkeypatch.setattr("execution_engine.rpc.deadline._TICK_SECONDS", 0.001)
    watch = Watch()
    ours, theirs = pair
    with watch.over(theirs, 60):
        assert watch._thread is not None
    deadline = time.monotonic() + 10
    while not watch._asleep:
        assert time.monotonic() < deadline, "the watch does not fall asleep"
        time.sleep(0.001)

    with watch.over(ours, 0.01) as expiry:
        ours.recv(10)

    assert expiry.passed


def test_a_socket_that_is_closed_already_is_no_trouble() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()

    stop_reading(ours)
