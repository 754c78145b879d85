"""How log lines lie in a chunk document: many lines as one text, their streams and times beside it.

A chunk is ``{job, first, n, attempt, text, streams, ts, until}``: ``first`` is the number of its first line; ``text``
the lines with line feeds between; ``streams`` one letter a line, or a single one for all; ``ts`` the first line's time
(ms) and ``offsets`` the others' distances from it (32-bit, packed; absent if all are equal); ``until`` the latest time.
``escaped`` is set where a line has a line feed inside.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from execution_engine.store.database import Document

CHUNK_LINES = 1_000
CHUNK_CHARS = 1_000_000
_LETTERS = {"stdout": "o", "stderr": "e", "system": "s"}
_STREAMS = {letter: stream for stream, letter in _LETTERS.items()}
_MAX_OFFSET = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Line:
    """One line: text, stream (stdout, stderr, system), time in milliseconds."""

    text: str
    stream: str
    ts: int


def cut_line(text: str, limit: int) -> str:
    """The text, or its first ``limit`` characters and a note of how many were cut off."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … [cut: {len(text) - limit} characters left out]"


def to_chunks(job: Any, attempt: int, first: int, lines: Sequence[Line]) -> Iterator[Document]:
    """Chunk documents that hold ``lines``, numbered from ``first``."""
    start = 0
    chars = 0
    for position, line in enumerate(lines):
        if position > start and (position - start >= CHUNK_LINES or chars + len(line.text) > CHUNK_CHARS):
            yield _pack(job, attempt, first + start, lines[start:position])
            start, chars = position, 0
        chars += len(line.text)
    if start < len(lines):
        yield _pack(job, attempt, first + start, lines[start:])


def _pack(job: Any, attempt: int, first: int, lines: Sequence[Line]) -> Document:
    texts = [line.text for line in lines]
    text = "\n".join(texts)
    chunk: Document = {"job": job, "first": first, "n": len(lines), "attempt": attempt}
    if text.count("\n") != len(lines) - 1:
        text = "\n".join(t.replace("\\", "\\\\").replace("\n", "\\n") for t in texts)
        chunk["escaped"] = True
    streams = "".join([_LETTERS[line.stream] for line in lines])
    times = [line.ts for line in lines]
    chunk |= {
        "text": text,
        "streams": streams[0] if streams == streams[0] * len(streams) else streams,
        "ts": times[0],
        "until": max(times),
    }
    if any(ts != times[0] for ts in times):
        chunk["offsets"] = array("i", [_clamp(ts - times[0]) for ts in times]).tobytes()
    return chunk


def _clamp(offset: int) -> int:
    return max(-_MAX_OFFSET, min(_MAX_OFFSET, offset))


def unpack(chunk: Document) -> list[Line]:
    """The lines of a chunk."""
    texts = chunk["text"].split("\n")
    if chunk.get("escaped"):
        texts = [_unescape(text) for text in texts]
    n = chunk["n"]
    streams = chunk["streams"] if len(chunk["streams"]) == n else chunk["streams"] * n
    base = chunk["ts"]
    times = [base] * n
    if "offsets" in chunk:
        offsets = array("i")
        offsets.frombytes(chunk["offsets"])
        times = [base + offset for offset in offsets]
    return [Line(text, _STREAMS[letter], ts) for text, letter, ts in zip(texts, streams, times, strict=True)]


def _unescape(text: str) -> str:
    parts = text.split("\\\\")
    return "\\".join(part.replace("\\n", "\n") for part in parts)
