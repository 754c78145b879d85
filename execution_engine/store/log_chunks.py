"""How log lines lie in a chunk document: many lines as one text, their streams and times beside it.

A chunk is ``{job, first, n, attempt, text, streams, ts, until}``: ``first`` is the number of its first line; ``text``
the lines with line feeds between; ``streams`` one letter a line, or a single one for all; ``ts`` the first line's time
(ms) and ``offsets`` the others' distances from it (packed, 32 bits each, or 64 where a clock was set; absent if all are
equal); ``until`` the latest time.
``escaped`` is set where a line has a line feed inside.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from execution_engine.store.database import Document

CHUNK_LINES = 1_000
CHUNK_CHARS = 1_000_000
_LETTERS = {"stdout": "o", "stderr": "e", "system": "s"}
_STREAMS = {letter: stream for stream, letter in _LETTERS.items()}
_FAR = 2**31


class Line(NamedTuple):
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
    if 0 < len(lines) <= CHUNK_LINES and sum([len(line.text) for line in lines]) <= CHUNK_CHARS:
        yield _pack(job, attempt, first, lines)  # the usual case, without the search for where to cut
        return
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
    texts, streams, times = zip(*lines, strict=True)
    text = "\n".join(texts)
    chunk: Document = {"job": job, "first": first, "n": len(lines), "attempt": attempt}
    if text.count("\n") != len(lines) - 1:
        text = "\n".join(t.replace("\\", "\\\\").replace("\n", "\\n") for t in texts)
        chunk["escaped"] = True
    letters = [_LETTERS[streams[0]]] if len(set(streams)) == 1 else [_LETTERS[stream] for stream in streams]
    base, earliest, latest = times[0], min(times), max(times)
    chunk |= {"text": text, "streams": "".join(letters), "ts": base, "until": latest}
    if earliest != latest:
        far = latest - base >= _FAR or base - earliest > _FAR
        chunk["offsets"] = array("q" if far else "i", [ts - base for ts in times]).tobytes()
    return chunk


def unpack(chunk: Document) -> list[Line]:
    """The lines of a chunk."""
    texts = chunk["text"].split("\n")
    if chunk.get("escaped"):
        texts = [_unescape(text) for text in texts]
    n, letters, base = chunk["n"], chunk["streams"], chunk["ts"]
    streams = [_STREAMS[letter] for letter in letters]
    times: Iterable[int] = repeat(base, n)
    if "offsets" in chunk:
        offsets = array("i" if len(chunk["offsets"]) == 4 * n else "q")
        offsets.frombytes(chunk["offsets"])
        times = [base + offset for offset in offsets]
    return list(map(Line._make, zip(texts, streams if len(streams) == n else streams * n, times, strict=True)))


def _unescape(text: str) -> str:
    parts = text.split("\\\\")
    return "\\".join(part.replace("\\n", "\n") for part in parts)
