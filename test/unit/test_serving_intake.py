import pytest

from execution_engine.serving.intake import HEAD_BYTES, Arrival, Intake

HEAD = b"POST /rpc HTTP/1.1\r\nHost: x\r\n"


def fed(*pieces: bytes, body_limit: int = 100) -> Intake:
    intake = Intake(body_limit)
    for piece in pieces:
        intake.feed(piece)
    return intake


def test_a_request_is_whole_when_its_announced_body_is_there() -> None:
    intake = fed(HEAD + b"Content-Length: 3\r\n")
    assert [intake.feed(piece) for piece in (b"\r", b"\nab", b"c")] == [Arrival.PARTIAL, Arrival.PARTIAL, Arrival.WHOLE]
    assert intake.take() == HEAD + b"Content-Length: 3\r\n\r\nabc"


def test_a_request_that_announces_no_body_is_whole_with_its_head() -> None:
    assert fed(HEAD + b"\r\n").arrival is Arrival.WHOLE


def test_what_comes_along_of_a_next_request_is_kept() -> None:
    assert fed(HEAD + b"\r\nPOST").take().endswith(b"POST")


def test_before_the_head_is_there_nobody_knows_how_to_refuse() -> None:
    assert not fed(HEAD).head_is_here
    assert fed(HEAD + b"content-length: 9\r\n\r\n").head_is_here


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 101",  # more than is collected
        b"Transfer-Encoding: chunked",
        b"Expect: 100-continue\r\nContent-Length: 3",  # the client waits for an answer to it
        b"Content-Length: 3\r\ncontent-length: 4",  # for gunicorn to refuse
        b"Content-Length: -1",
        b"CONTENT-LENGTH : many",
        b"Content-Length: " + b"9" * 5000,
    ],
)
def test_a_body_that_the_loop_does_not_collect_is_left_to_a_thread(framing: bytes) -> None:
    assert fed(HEAD + framing + b"\r\n\r\n").arrival is Arrival.OPEN


def test_a_body_is_no_header() -> None:
    assert fed(HEAD + b"Content-Length: 30\r\n\r\n\r\nTransfer-Encoding: chunked").arrival is Arrival.PARTIAL


def test_a_head_without_end_is_given_up() -> None:
    assert fed(HEAD, b"x" * (HEAD_BYTES - len(HEAD))).arrival is Arrival.PARTIAL
    assert fed(HEAD, b"x" * HEAD_BYTES).arrival is Arrival.TOO_LONG


def test_as_much_is_received_at_once_as_the_body_needs() -> None:
    intake = fed(HEAD + b"Content-Length: 100000\r\n\r\n", body_limit=1_000_000)
    assert intake.wanted() == 100_000
    assert fed(HEAD + b"Content-Length: 900000\r\n\r\n", body_limit=1_000_000).wanted() == 256 * 1024
