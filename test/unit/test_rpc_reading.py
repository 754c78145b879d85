import io
import json
import socket
from typing import Any

import pytest

from execution_engine.core.errors import BodyTooLarge, InvalidRequest, ParseError, RequestTimeout
from execution_engine.rpc.limits import Limits
from execution_engine.rpc.reading import parse, read_body

SMALL = Limits(body=100, large_body=1000, read_seconds=0.01, depth=5)


class Input(io.BytesIO):
    """A request's body as servers offer it; remembers how much was asked of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def environ(body: bytes, **more: Any) -> dict[str, Any]:
    return {"CONTENT_LENGTH": str(len(body)), "wsgi.input": Input(body)} | more


def chunked(body: bytes) -> dict[str, Any]:
    return {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": Input(body)}


def test_a_body_is_read_whatever_its_content_type() -> None:
    for content_type in (None, "", "application/json", "application/x-www-form-urlencoded; charset=UTF-8"):
        body = read_body(environ(b'{"a": 1}', CONTENT_TYPE=content_type), SMALL)
        assert (body.message, body.size) == ({"a": 1}, 8)


def test_a_body_without_length_is_read_to_its_end() -> None:
    assert read_body(chunked(b"[1, 2]"), SMALL).message == [1, 2]
    terminated = {"wsgi.input": Input(b"[3]"), "wsgi.input_terminated": True}
    assert read_body(terminated, SMALL).message == [3]


@pytest.mark.parametrize("length", [None, "", "0", "-1", "x", "\u0661"])
def test_no_length_and_no_chunks_is_no_body(length: str | None) -> None:
    with pytest.raises(ParseError, match="The request has no body"):
        read_body(environ(b"{}", CONTENT_LENGTH=length), SMALL)


def test_more_than_the_announced_length_is_not_touched() -> None:
    stream = environ(b"[1][2]", CONTENT_LENGTH="3")

    assert read_body(stream, SMALL).message == [1]
    assert stream["wsgi.input"].taken == 3


@pytest.mark.parametrize(("size", "taken"), [(1001, 1001), (2000, 2000), (5000, 2000)])
def test_a_body_that_is_too_large_is_refused_and_taken_in_part(size: int, taken: int) -> None:
    """A client that is still sending does not read; so some of what is too much is taken from it."""
    stream = environ(b"1" * size)

    with pytest.raises(BodyTooLarge) as caught:
        read_body(stream, SMALL)

    assert (
        caught.value.message == f"The request is too large: at most 1,000 bytes are taken here, found {size:,} bytes."
    )
    assert caught.value.data == {"limit": 1000}
    assert stream["wsgi.input"].taken == taken


def test_an_absurd_length_is_too_large_as_well() -> None:
    with pytest.raises(BodyTooLarge):
        read_body(environ(b"1", CONTENT_LENGTH="9" * 5000), SMALL)


def test_chunks_without_end_are_refused_as_well() -> None:
    stream = chunked(b"1" * 5000)

    with pytest.raises(BodyTooLarge, match="found more"):
        read_body(stream, SMALL)

    assert stream["wsgi.input"].taken == 2000


def test_exactly_the_limit_is_taken() -> None:
    body = json.dumps("x" * 998).encode()

    assert read_body(environ(body), SMALL).size == read_body(chunked(body), SMALL).size == 1000


def test_a_body_that_ends_too_early_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="ends after 3 of 30 bytes"):
        read_body(environ(b"[1]", CONTENT_LENGTH="30"), SMALL)


def test_a_body_that_cannot_be_read_is_refused() -> None:
    class Broken:
        def read(self, _size: int) -> bytes:
            raise OSError("bad chunk")

    with pytest.raises(InvalidRequest, match="can't be read: OSError"):
        read_body({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": Broken()}, SMALL)


def test_a_body_that_does_not_come_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b'{"a"')
        stream = ours.makefile("rb")
        with stream, pytest.raises(RequestTimeout, match=r"^The request did not arrive within 0.01 s\.$"):
            read_body({"CONTENT_LENGTH": "10", "wsgi.input": stream, "gunicorn.socket": ours}, SMALL)


def test_after_a_refusal_the_connection_is_not_used_for_another_request() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(BodyTooLarge):
            read_body(environ(b"1" * 1001, **{"gunicorn.socket": ours}), SMALL)

        assert ours.recv(1) == b""


def test_a_body_in_time_leaves_the_connection_as_it_was() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        read_body(environ(b"{}", **{"gunicorn.socket": ours}), SMALL)

        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"
        assert ours.gettimeout() is None


@pytest.mark.parametrize(
    ("body", "odd"),
    [
        (b'"plain \xc3\xa4"', False),
        (rb'"\u00e4"', False),
        (rb'"\n\\"', False),
        (rb'"\u0000"', True),
        (rb'"\ud83d\ude00"', True),
        (rb'"\uDFFF"', True),
    ],
)
def test_odd_text_is_noticed_by_its_escapes(body: bytes, odd: bool) -> None:
    assert read_body(environ(body), SMALL).odd_text is odd


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse(b'\xef\xbb\xbf{"a": 1}', 5) == {"a": 1}


def test_large_and_precise_numbers_stay_what_they_are() -> None:
    assert parse(b"[123456789012345678901234567890, 1e300, -0.1]", 5) == [123456789012345678901234567890, 1e300, -0.1]


def test_the_last_of_equal_keys_counts() -> None:
    assert parse(b'{"method": "a", "method": "b"}', 5) == {"method": "b"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request has no body; expected a JSON-RPC request."),
        (b"{", "The body is not JSON: Expecting property name"),
        (b"[1] x", "The body is not JSON: Extra data"),
        (b"'a'", "The body is not JSON: Expecting value"),
        (b'"a\nb"', "The body is not JSON: Invalid control character"),
        (b'"\xff"', "The body is not UTF-8: byte 1 is 0xff."),
        (b'"\xed\xa0\x80"', "The body is not UTF-8: byte 1 is 0xed."),
        (b"\xff\xfe[\x00]\x00", "The body is not UTF-8: byte 0 is 0xff."),
        (b"NaN", "The body is not JSON: NaN is no JSON number."),
        (b"[-Infinity]", "The body is not JSON: -Infinity is no JSON number."),
        (b"1e999", "The body has a number beyond what a double can hold: 1e999."),
        (b"-1.0e999", "The body has a number beyond what a double can hold: -1.0e999."),
        (b"9" * 5000, "The body has a number with too many digits."),
        (b"[" * 6 + b"]" * 6, "The body is nested too deep: at most 5 arrays and objects"),
        (b'{"a":' * 6 + b"1" + b"}" * 6, "The body is nested too deep: at most 5"),
        (b"[" * 100_000, "The body is nested too deep: at most 5"),
        (b'{"a":' * 100_000, "The body is nested too deep: at most 5"),
    ],
)
def test_what_is_no_json_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(body, 5)

    assert caught.value.message.startswith(message)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "body", [b"[" * 5 + b"]" * 5, b'[[], [], [], [], {"a": [{}]}]', b'"[[[[[[[[[["', b'["[[[[[[{{{{"]']
)
def test_wide_is_not_deep(body: bytes) -> None:
    assert parse(body, 5) == json.loads(body)
