import socket
from collections.abc import Iterator

import pytest

from execution_engine.serving.connection import ClientSocket


@pytest.fixture
def pair() -> Iterator[tuple[ClientSocket, socket.socket]]:
    accepted, theirs = socket.socketpair()
    with ClientSocket(accepted) as ours, theirs:
        yield ours, theirs


def test_what_the_system_does_not_take_at_once_is_kept_and_sent_later(pair: tuple[ClientSocket, socket.socket]) -> None:
    ours, theirs = pair
    answer = [bytes([n]) * 1_000_000 for n in range(5)]
    for piece in answer:
        ours.sendall(piece)
    assert 0 < ours.unsent_bytes <= 5_000_000

    received = b""
    while len(received) < 5_000_000:
        received += theirs.recv(1_000_000)
        ours.send_more()

    assert received == b"".join(answer)
    assert (ours.unsent_bytes, list(ours.unsent)) == (0, [])


def test_a_small_answer_goes_out_at_once(pair: tuple[ClientSocket, socket.socket]) -> None:
    ours, theirs = pair
    ours.sendall(b"answer")
    assert not ours.unsent
    assert theirs.recv(10) == b"answer"


def test_nothing_is_nothing(pair: tuple[ClientSocket, socket.socket]) -> None:
    ours, _ = pair
    ours.sendall(b"")
    assert not ours.unsent
