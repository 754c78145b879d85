"""How much of a request has come: what the server must know before it gives a thread to it.

This only looks for the end. The request is parsed, and refused if it is none, by gunicorn's own strict parser.
"""

import re
from enum import Enum, auto

HEAD_BYTES = 64 * 1024
_RECEIVE = 16 * 1024
_RECEIVE_BODY = 256 * 1024
_FRAMING = re.compile(rb"\r\n(content-length|transfer-encoding|expect)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)


class Arrival(Enum):
    """PARTIAL: more is to come. WHOLE: all is here. OPEN: the rest has to be read by whoever works on it.

    TOO_LONG: the head has no end.
    """

    PARTIAL = auto()
    WHOLE = auto()
    OPEN = auto()
    TOO_LONG = auto()


class Intake:
    """The bytes of one request that have come so far; bodies beyond ``body_limit`` bytes are not collected."""

    def __init__(self, body_limit: int) -> None:
        self._body_limit = body_limit
        self._bytes = bytearray()
        self._end: int | None = None
        self.arrival = Arrival.PARTIAL

    def __len__(self) -> int:
        return len(self._bytes)

    @property
    def head_is_here(self) -> bool:
        """Whether it is known what is asked for, so that a refusal can have the right form."""
        return self._end is not None or self.arrival is Arrival.OPEN

    def wanted(self) -> int:
        """How many bytes to receive at once."""
        return _RECEIVE if self._end is None else min(_RECEIVE_BODY, max(1, self._end - len(self._bytes)))

    def feed(self, data: bytes) -> Arrival:
        """Add bytes; how much has come now."""
        searched = max(0, len(self._bytes) - 3)
        self._bytes += data
        if self._end is None:
            self._look_at_head(self._bytes.find(b"\r\n\r\n", searched))
        if self._end is not None and len(self._bytes) >= self._end:
            self.arrival = Arrival.WHOLE
        return self.arrival

    def take(self) -> bytes:
        """All bytes, those of a next request that came along with this one included."""
        return bytes(self._bytes)

    def _look_at_head(self, end: int) -> None:
        if end < 0:
            if len(self._bytes) > HEAD_BYTES:
                self.arrival = Arrival.TOO_LONG
            return
        framing = [(name.lower(), value.strip()) for name, value in _FRAMING.findall(bytes(self._bytes[: end + 2]))]
        match framing:
            case []:
                self._end = end + 4
            case [(b"content-length", length)] if length.isdigit() and len(length) < 16:
                if int(length) <= self._body_limit:
                    self._end = end + 4 + int(length)
                else:
                    self.arrival = Arrival.OPEN
            case _:
                self.arrival = Arrival.OPEN
