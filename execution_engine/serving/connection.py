"""One client's connection: what came from it, and what could not be sent to it yet."""

import socket
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gunicorn.http import get_parser  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn  # type: ignore[import-untyped]

from execution_engine.serving.intake import Intake

if TYPE_CHECKING:
    from concurrent.futures import Future


class ClientSocket(socket.socket):
    """A socket that never makes a thread wait for its client to read: what does not go out at once is kept.

    read_deadline: when (time.monotonic) the request must have arrived; None: it has. unsent_bytes: what the kept
    pieces of the answer take.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(fileno=accepted.detach())
        self.read_deadline: float | None = None
        self.unsent: deque[memoryview] = deque()
        self.unsent_bytes = 0

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send what the system takes now; :meth:`send_more` sends the rest."""
        sent = 0 if self.unsent else self._send_now(memoryview(data), flags)
        if sent < len(data):
            self.unsent.append(memoryview(bytes(data[sent:])))
            self.unsent_bytes += len(data) - sent

    def send_more(self) -> int:
        """Send of the rest what the system takes now; how many bytes need not be kept any more."""
        before = self.unsent_bytes
        while self.unsent:
            rest = self.unsent[0]
            sent = self._send_now(rest)
            if sent < len(rest):
                self.unsent[0] = rest[sent:]
                break
            self.unsent_bytes -= len(rest.obj)  # type: ignore[arg-type]  # made of bytes above
            self.unsent.popleft()
        return before - self.unsent_bytes

    def _send_now(self, data: memoryview, flags: int = 0) -> int:
        try:
            return self.send(data, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's connection, with the request that is arriving.

    is_served: a thread has the request. is_open: it reads the rest of it. watched: the loop is told of events.
    lingered: bytes that were dropped after the answer. served: the future of the request that was worked on last.
    """

    sock: ClientSocket

    def __init__(self, cfg: Any, sock: ClientSocket, client: Any, server: Any, body_limit: int) -> None:
        super().__init__(cfg, sock, client, server)
        self.parser = get_parser(cfg, sock, client)
        self.initialized = True  # nothing is left of what init() would do for plain HTTP/1.1
        self._body_limit = body_limit
        self.watched = False
        self.lingered = 0
        self.served: Future[Any] | None = None
        self.expect_request()

    def expect_request(self) -> None:
        """From here on the bytes of a next request count."""
        self.intake = Intake(self._body_limit)
        self.is_served = False
        self.is_open = False
        self.sock.read_deadline = None


class Queue:
    """Connections that wait for the same for the same time, the oldest first."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadlines: dict[Connection, float] = {}

    def __contains__(self, conn: Connection) -> bool:
        return conn in self._deadlines

    def add(self, conn: Connection) -> None:
        """Its time begins."""
        self._deadlines[conn] = time.monotonic() + self._seconds

    def deadline(self, conn: Connection) -> float:
        """When its time is over."""
        return self._deadlines[conn]

    def discard(self, conn: Connection) -> None:
        """It waits no longer."""
        self._deadlines.pop(conn, None)

    def oldest(self) -> Iterator[Connection]:
        """All, the oldest first; they may leave meanwhile."""
        return iter(list(self._deadlines))

    def overdue(self) -> list[Connection]:
        """Those whose time is over."""
        now = time.monotonic()
        found = []
        for conn, deadline in self._deadlines.items():
            if deadline > now:
                break
            found.append(conn)
        return found
