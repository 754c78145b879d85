"""The lines that the engine does not hold yet: in memory, and on disk when they become many."""

from __future__ import annotations

import threading
from collections import deque

from .segments import Segments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

MEMORY_BYTES = 4 << 20
KEPT_BYTES = 1 << 20


class Spool:
    """A queue of encoded lines between the thread that reads them and the one that delivers them.

    Three parts in order: ``head`` in memory, the segments on disk, and ``tail`` in memory for lines that the disk
    did not take and that can't wait. Delivered lines are kept for a while, should the engine lose them in a crash.
    """

    def __init__(
        self, folder: Path, disk_bytes: int, memory_bytes: int = MEMORY_BYTES, kept_bytes: int = KEPT_BYTES
    ) -> None:
        self._disk = Segments(folder)
        self._disk_bytes = disk_bytes
        self._memory_bytes = memory_bytes
        self._kept_bytes = kept_bytes
        self._head: deque[bytes] = deque()
        self._head_bytes = 0
        self._tail: list[bytes] = []
        self._kept: deque[bytes] = deque()
        self._kept_size = 0
        self._closed = False
        self._changed = threading.Condition()
        self.problem = ""

    def __len__(self) -> int:
        return len(self._head) + self._disk.count + len(self._tail)

    def offer(self, lines: list[bytes]) -> bool:
        """Take the lines, or none of them and say why in ``problem``."""
        with self._changed:
            size = sum(map(len, lines))
            fits = not self._head or self._head_bytes + size <= self._memory_bytes  # an empty spool takes anything
            if fits and not self._disk.count and not self._tail:
                self._to_head(lines)
            elif not self._to_disk(lines, size):
                return False
            self._changed.notify_all()
            return True

    def force(self, lines: list[bytes]) -> None:
        """Take the lines whatever the bounds are: for the little that can't wait."""
        with self._changed:
            if self._disk.count or self._tail:
                self._tail.extend(lines)
            else:
                self._to_head(lines)
            self._changed.notify_all()

    def wait_for_room(self, seconds: float) -> None:
        """Wait until lines have been delivered, at most so long."""
        with self._changed:
            self._changed.wait(seconds)

    def wait_for_lines(self, count: int, seconds: float | None) -> bool:
        """Wait for so many lines, for the end of all lines, at most so long. False: all is delivered and closed."""
        with self._changed:
            self._changed.wait_for(lambda: len(self) >= count or self._closed, seconds)
            return bool(len(self)) or not self._closed

    def peek(self, count: int, size: int) -> list[bytes]:
        """The next lines, up to ``count`` and about ``size`` bytes, at least one if there is any."""
        with self._changed:
            while len(self._head) < count and self._refill():
                pass
            lines: list[bytes] = []
            for line in self._head:
                size -= len(line) + 1
                if lines and (size < 0 or len(lines) == count):
                    break
                lines.append(line)
            return lines

    def delivered(self, count: int) -> None:
        """The engine holds the first ``count`` lines."""
        with self._changed:
            for _ in range(min(count, len(self._head))):
                line = self._head.popleft()
                self._head_bytes -= len(line)
                self._kept.append(line)
                self._kept_size += len(line)
            while self._kept_size > self._kept_bytes:
                self._kept_size -= len(self._kept.popleft())
            self._changed.notify_all()

    def undeliver(self, count: int) -> int:
        """Put the last ``count`` delivered lines back, as far as they are kept; the number of those put back."""
        with self._changed:
            count = min(count, len(self._kept))
            for _ in range(count):
                self._put_back(self._kept.pop())
            self._kept_size = sum(map(len, self._kept))
            return count

    def replace_first(self, line: bytes) -> None:
        """Another line instead of the first one."""
        with self._changed:
            self._head_bytes -= len(self._head.popleft())
            self._put_back(line)

    def insert_first(self, line: bytes) -> None:
        """A line before the first one."""
        with self._changed:
            self._put_back(line)

    def close(self) -> None:
        """No more lines will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _put_back(self, line: bytes) -> None:
        self._head.appendleft(line)
        self._head_bytes += len(line)

    def _to_head(self, lines: list[bytes]) -> None:
        self._head.extend(lines)
        self._head_bytes += sum(map(len, lines))

    def _to_disk(self, lines: list[bytes], size: int) -> bool:
        if self._disk.size + size + len(lines) > self._disk_bytes:
            self.problem = f"the bound of {self._disk_bytes >> 20} MiB for waiting lines is reached"
            return False
        try:
            self._disk.append(self._tail + lines)
        except OSError as error:
            self.problem = error.strerror or str(error)
            return False
        self._tail = []
        return True

    def _refill(self) -> bool:
        lines = self._disk.take()
        if not lines:
            lines, self._tail = self._tail, []
        self._to_head(lines)
        return bool(lines)
