"""From a WSGI request to its parsed body, within limits of size, time and depth.

The body is read raw, whatever its content type says: existing clients send none, or a form's.
"""

import json
import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from execution_engine.core.errors import BodyTooLarge, InvalidRequest, ParseError, RequestTimeout
from execution_engine.rpc.deadline import READ_DEADLINE, Expiry, Watch, stop_reading
from execution_engine.rpc.limits import Limits

Environ = dict[str, Any]

_CHUNK = 64 * 1024
_BOM = b"\xef\xbb\xbf"
# Raw NULs and surrogates are no JSON and no UTF-8: they can only come escaped.
_ODD_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")

_CONTAINERS = frozenset((dict, list))

_watch = Watch()


class Body(NamedTuple):
    """A parsed body. odd_text: whether some string may have a NUL or a surrogate in it."""

    message: Any
    size: int
    odd_text: bool


def read_body(environ: Environ, limits: Limits) -> Body:
    """Reads and parses the body of a request.

    Raises:
        BodyTooLarge, RequestTimeout, ParseError
        InvalidRequest: the body did not arrive whole.
    """
    raw = _read(environ, limits)
    # To look for one byte is much faster than to look for two.
    odd_text = b"\\" in raw and _ODD_ESCAPE.search(raw) is not None
    return Body(parse(raw, limits.depth), len(raw), odd_text)


def too_large(size: int | None, limit: int) -> BodyTooLarge:
    """The error for a request beyond ``limit`` bytes; ``size`` None: nobody has counted."""
    found = "more" if size is None else f"{size:,} bytes"
    return BodyTooLarge(
        f"The request is too large: at most {limit:,} bytes are taken here, found {found}.", limit=limit
    )


def _read(environ: Environ, limits: Limits) -> bytes:
    length = _content_length(environ)
    sock = environ.get("gunicorn.socket")
    if length == 0:
        return b""
    deadline = environ.get(READ_DEADLINE)
    with nullcontext(Expiry()) if sock is None or deadline else _watch.over(sock, limits.read_seconds) as expiry:
        body, error = _collect(environ["wsgi.input"].read, length, limits.large_body)
    if expiry.passed or (error is not None and deadline is not None and time.monotonic() >= deadline):
        raise RequestTimeout(f"The request did not arrive within {limits.read_seconds:g} s.")
    if error is not None:
        if sock is not None:
            stop_reading(sock)
        raise error
    return body


def _content_length(environ: Environ) -> int | None:
    """The announced length; None: it ends where the server says that it ends."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if announced.isascii() and announced.isdigit():
        return int(announced[:18])  # more digits say no more than "too large", and thousands are an error in Python
    return None if environ.get("wsgi.input_terminated") or "HTTP_TRANSFER_ENCODING" in environ else 0


def _collect(read: Callable[[int], bytes], length: int | None, limit: int) -> tuple[bytes, Exception | None]:
    """The body, and why it is none."""
    chunks: list[bytes] = []
    received = 0
    # A body that is somewhat too large is taken and dropped: most clients look for an answer only when they have sent
    # all of theirs.
    end = 2 * limit if length is None else min(length, 2 * limit)
    excess = length is not None and length > limit
    try:
        while received < end:
            chunk = read(min(_CHUNK, end - received))
            if not chunk:
                break
            received += len(chunk)
            excess = excess or received > limit
            if excess:
                chunks.clear()
            else:
                chunks.append(chunk)
    except Exception as error:  # noqa: BLE001 - servers differ in what they raise for broken chunks and lost peers
        return b"", InvalidRequest(f"The request's body can't be read: {type(error).__name__}.")
    if excess:
        return b"", too_large(length, limit)
    if length is not None and received < length:
        return b"", InvalidRequest(f"The request's body ends after {received:,} of {length:,} bytes.")
    return b"".join(chunks), None


def parse(raw: bytes, depth: int) -> Any:
    """The JSON value of a body; raises ParseError.

    Stricter than Python's own parser: no NaN, no infinity however written, no nesting deeper than ``depth``.
    """
    if not raw:
        raise ParseError("The request has no body; expected a JSON-RPC request.")
    try:
        # Twice as fast on what is right, and stricter than Python's own parser on everything else.
        value = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = _parse_slowly(raw, depth)
    if _may_be_deeper(raw, depth):
        _check_depth(value, depth)
    return value


def _parse_slowly(raw: bytes, depth: int) -> Any:
    """The value, with halves of surrogate pairs if it has such; or why there is none, in words."""
    try:
        return _decoder.decode(raw.removeprefix(_BOM).decode())
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}.") from None
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise _too_deep(depth) from None
    except ValueError:
        # Python refuses to convert numbers of thousands of digits.
        raise ParseError("The body has a number with too many digits.") from None


def _may_be_deeper(raw: bytes, depth: int) -> bool:
    """Whether counting alone leaves it open that a JSON text is nested deeper; brackets within strings count too.

    After a comma stands no object but an item of an array. So on any way down there are at most as many of these as
    there are arrays.
    """
    arrays = raw.count(b"[")
    return 2 * arrays > depth or 2 * arrays + raw.count(b"{") - raw.count(b",{") - raw.count(b", {") > depth


def _check_depth(value: Any, depth: int) -> None:
    level = [value]
    for _ in range(depth):
        dicts = [container for container in level if type(container) is dict]
        lists = level if not dicts else [container for container in level if type(container) is list]
        items = list(chain(chain.from_iterable(map(dict.values, dicts)), chain.from_iterable(lists)))
        if _CONTAINERS.isdisjoint(map(type, items)):
            return
        level = [item for item in items if type(item) in _CONTAINERS]
    raise _too_deep(depth)


def _too_deep(depth: int) -> ParseError:
    return ParseError(f"The body is nested too deep: at most {depth} arrays and objects within one another are taken.")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ParseError(f"The body has a number beyond what a double can hold: {text[:40]}.")
    return number


def _refuse_constant(text: str) -> Any:
    raise ParseError(f"The body is not JSON: {text} is no JSON number.")


_decode = msgspec.json.decode
_decoder = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant)
