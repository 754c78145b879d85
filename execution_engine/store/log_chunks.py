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
from typing import Any, NamedTuple, overload

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


class Lines(Sequence[Line]):
    """Many lines as three columns, which is how chunks hold them: a thousand objects need not be made first."""

    __slots__ = ("streams", "texts", "times")

    def __init__(self, texts: Sequence[str], streams: Sequence[str], times: Sequence[int]) -> None:
        """The columns are of one length."""
        self.texts = texts
        self.streams = streams
        self.times = times

    @classmethod
    def of(cls, lines: Sequence[Line]) -> "Lines":
        """Any lines, as columns."""
        if isinstance(lines, Lines):
            return lines
        return cls([line.text for line in lines], [line.stream for line in lines], [line.ts for line in lines])

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> "Lines": ...
    def __getitem__(self, index: int | slice) -> "Line | Lines":
        if isinstance(index, slice):
            return Lines(self.texts[index], self.streams[index], self.times[index])
        return Line(self.texts[index], self.streams[index], self.times[index])


def cut_line(text: str, limit: int) -> str:
    """The text, or its first ``limit`` characters and a note of how many were cut off."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … [cut: {len(text) - limit} characters left out]"


def to_chunks(job: Any, attempt: int, first: int, lines: Sequence[Line]) -> Iterator[Document]:
    """Chunk documents that hold ``lines``, numbered from ``first``."""
    columns = Lines.of(lines)
    sizes = list(map(len, columns.texts))
    if 0 < len(sizes) <= CHUNK_LINES and sum(sizes) <= CHUNK_CHARS:
        yield _pack(job, attempt, first, columns)  # the usual case, without the search for where to cut
        return
    start = 0
    chars = 0
    for position, size in enumerate(sizes):
        if position > start and (position - start >= CHUNK_LINES or chars + size > CHUNK_CHARS):
            yield _pack(job, attempt, first + start, columns[start:position])
            start, chars = position, 0
        chars += size
    if start < len(sizes):
        yield _pack(job, attempt, first + start, columns[start:])


def _pack(job: Any, attempt: int, first: int, lines: Lines) -> Document:
    texts, streams, times = lines.texts, lines.streams, lines.times
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
