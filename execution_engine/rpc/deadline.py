"""Ends the reading of a body that takes too long.

A server's read returns when it has the bytes that it wants, however slowly they come, and a time-out on the socket
starts anew with each of them. So another thread watches: when the time is over it shuts the socket for reading, and
the read ends at once as if the client had gone. Answers can still be written.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

READ_DEADLINE = "execution_engine.read_deadline"
"""The key in a WSGI environ under which a server that cuts off late bodies itself says when (time.monotonic)."""

_TICK_SECONDS = 0.25
_IDLE_TICKS = 40


class Watch:
    """Watches over the reads that are under way in this process.

    Its thread starts with the first read and sleeps while there are none; to begin and to end a watch costs two
    operations on a dict.
    """

    def __init__(self) -> None:
        self._reads: dict[int, tuple[float, socket.socket]] = {}
        self._asleep = True
        self._wake = threading.Event()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def over(self, sock: socket.socket, seconds: float) -> contextlib.AbstractContextManager["Expiry"]:
        """Shuts ``sock`` for reading if the block lasts longer than ``seconds``; the expiry tells afterwards."""
        return self.until(sock, time.monotonic() + seconds)

    @contextlib.contextmanager
    def until(self, sock: socket.socket, deadline: float) -> Iterator["Expiry"]:
        """As :meth:`over`, for a block that has to end by ``deadline`` (time.monotonic)."""
        expiry = Expiry()
        key = id(expiry)
        self._reads[key] = (deadline, sock)
        if self._asleep:
            self._rouse()
        try:
            yield expiry
        finally:
            # Whoever takes the entry out, this line or the thread, has decided: the connection may serve another
            # request from here on and must not be shut any more.
            expiry.passed = self._reads.pop(key, None) is None

    def _rouse(self) -> None:
        with self._start:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="request deadlines", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._asleep = True
            if not self._reads:
                self._wake.wait()
            self._asleep = False
            self._wake.clear()
            idle = 0
            while idle < _IDLE_TICKS:
                time.sleep(_TICK_SECONDS)
                idle = 0 if self._reads else idle + 1
                self._shut_overdue()

    def _shut_overdue(self) -> None:
        now = time.monotonic()
        for key, (deadline, sock) in self._reads.copy().items():
            if deadline <= now and self._reads.pop(key, None) is not None:
                stop_reading(sock)


class Expiry:
    """Whether a watched block lasted too long; known when it has ended."""

    passed = False


def stop_reading(sock: socket.socket) -> None:
    """Lets every read of the socket end at once; the connection closes after the answer."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RD)
