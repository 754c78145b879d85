"""From the bytes that a program writes to the lines of its log."""

from __future__ import annotations

import codecs
import json
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ROOM_FOR_NOTE = 50
REDRAW_SECONDS = 1.0

_quote = json.JSONEncoder(ensure_ascii=False).encode


def encode_line(line: str, stream: str, ts: int) -> bytes:
    """One entry of ``add_job_logs``'s ``lines`` as JSON text, on one line. ``ts``: ms since 1970."""
    return f'{{"line":{_quote(line)},"stream":"{stream}","ts":{ts}}}'.encode("utf-8", "replace")


def now_ms() -> int:
    """The time as the engine counts it: ms since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


class LineSplitter:
    r"""Cuts one stream into lines of at most ``longest`` characters, and keeps what is not yet a whole line.

    Bytes that are not UTF-8 become U+FFFD, NUL becomes its picture. A carriage return redraws the line, as on a
    terminal: of a progress bar the log gets one state a second and the last. ``\r\n`` ends a line like ``\n``.
    """

    def __init__(self, longest: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._kept = ""
        self._dropped = 0
        self._returned = False
        self._last_redraw: float | None = None

    def feed(self, data: bytes) -> list[str]:
        """The lines that end in ``data``."""
        return self._split(self._decode(data))

    def close(self) -> list[str]:
        """A last line that no newline ended, if there is one."""
        lines = self._split(self._decode(b"", final=True))
        return [*lines, self._take()] if self._kept else lines

    def _split(self, text: str) -> list[str]:
        lines: list[str] = []
        *whole, rest = text.replace("\0", "\u2400").split("\n")
        for piece in whole:
            self._add(piece, lines)
            lines.append(self._take())
        self._add(rest, lines)
        return lines

    def _add(self, text: str, lines: list[str]) -> None:
        """Append to the current line; a state that is drawn over goes to ``lines``, if it is time for one."""
        if "\r" not in text and not self._returned:
            self._keep(text)
            return
        for number, drawn in enumerate(text.split("\r")):
            self._returned = self._returned or number > 0
            if drawn:
                if self._returned:
                    self._redraw(lines)
                self._keep(drawn)

    def _redraw(self, lines: list[str]) -> None:
        now = self._clock()
        due = self._last_redraw is None or now - self._last_redraw >= REDRAW_SECONDS
        line = self._take()
        if due and line:
            self._last_redraw = now
            lines.append(line)

    def _keep(self, text: str) -> None:
        text = self._kept + text
        self._dropped += max(0, len(text) - self._longest)
        self._kept = text[: self._longest]

    def _take(self) -> str:
        line, dropped = self._kept, self._dropped
        self._kept, self._dropped, self._returned = "", 0, False
        if not dropped:
            return line
        shown = max(0, self._longest - ROOM_FOR_NOTE)
        return f"{line[:shown]} … [cut: {len(line) - shown + dropped} characters left out]"
