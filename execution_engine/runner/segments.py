"""A queue of lines in files, for the time in which the engine can't be reached."""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

SEGMENT_BYTES = 16 << 20
READ_BYTES = 1 << 20


class Segments:
    """First in, first out: appended to the newest of some files, read from the oldest, which then goes.

    So the disk holds what is not yet read and at most one segment more. Nothing is synced: the queue serves one
    life of the runner, not the next.
    """

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._segments: deque[_Segment] = deque()
        self._made = 0
        self.count = 0

    @property
    def size(self) -> int:
        """Bytes that the files hold together."""
        return sum(segment.size for segment in self._segments)

    def append(self, lines: list[bytes]) -> None:
        """Add lines, all or, with an error, none.

        Raises:
            OSError: the disk is full, or the folder can't be written.
        """
        if not self._segments or self._segments[-1].size >= self._segment_bytes:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._segments.append(_Segment(self._folder / f"{self._made:08}.jsonl"))
            self._made += 1
        self._segments[-1].append(lines)
        self.count += len(lines)

    def take(self) -> list[bytes]:
        """The next lines, about a megabyte of them; they are no longer in the queue. Empty: the queue is."""
        while self._segments:
            oldest = self._segments[0]
            lines = oldest.take(READ_BYTES)
            if oldest.read == oldest.size:
                oldest.remove()
                self._segments.popleft()
            if lines:
                self.count -= len(lines)
                return lines
        return []


class _Segment:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self.size = 0
        self.read = 0

    def append(self, lines: list[bytes]) -> None:
        data = b"\n".join(lines) + b"\n"
        end = self.size
        try:
            while data:
                written = os.pwrite(self._file, data, end)
                end += written
                data = data[written:]
        except OSError:
            with contextlib.suppress(OSError):  # what lies behind ``size`` is never read
                os.ftruncate(self._file, self.size)
            raise
        self.size = end

    def take(self, count: int) -> list[bytes]:
        """About ``count`` bytes of lines: the whole lines among them, at least one."""
        data = b""
        while self.read + len(data) < self.size and b"\n" not in data:
            at = self.read + len(data)
            more = os.pread(self._file, min(count, self.size - at), at)
            if not more:
                raise OSError(errno.EIO, "the file with waiting log lines was cut by somebody else", str(self._path))
            data += more
        lines = data.split(b"\n")
        self.read += len(data) - len(lines.pop())
        return lines

    def remove(self) -> None:
        os.close(self._file)
        with contextlib.suppress(OSError):
            self._path.unlink()
