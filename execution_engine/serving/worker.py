"""gunicorn's threaded worker, in which no client can hold a thread by being slow.

In the original a thread waits for the rest of a request and until an answer has been read. Here the loop does both: a
thread gets a request when all of it has come, and leaves what the client does not take at once to the loop. A few
threads may wait for bodies that are too large to be collected, or whose length nobody announced.

Plain HTTP/1.1 only: TLS ends at the proxy in front.
"""

import errno
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from execution_engine.rpc.deadline import READ_DEADLINE, Watch, stop_reading
from execution_engine.serving.connection import ClientSocket, Connection, Queue
from execution_engine.serving.intake import Arrival
from execution_engine.serving.refusal import refusal, refusal_of

MIB = 1024 * 1024
_LINGER_SECONDS = 2.0
_LINGER_BYTES = MIB
_PASSING = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED, errno.EMFILE, errno.ENFILE)
_LATER = object()


class LoopWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker whose loop waits for clients.

    read_seconds: how long a request may take to arrive. send_seconds: how long an answer may take to be read.
    body_limit: bytes of a body that is collected before a thread sees it. held_bytes: what all half-arrived requests,
    and all half-read answers, may take together; beyond it the oldest is given up.
    """

    read_seconds = 10.0
    send_seconds = 60.0
    body_limit = 4 * MIB
    held_bytes = 64 * MIB

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving = Queue(self.read_seconds)
        self._sending = Queue(self.send_seconds)
        self._lingering = Queue(_LINGER_SECONDS)
        self._open_waiting: deque[Connection] = deque()
        self._open_slots = max(1, self.cfg.threads // 4)
        self._arrived_bytes = 0
        self._unsent_bytes = 0

    def load_wsgi(self) -> None:
        """Besides, bodies that a thread has to read are cut off in time, whatever application reads them."""
        super().load_wsgi()
        application: Callable[..., Any] = self.wsgi  # type: ignore[has-type]  # set above
        watch = Watch()

        def in_time(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            sock = environ["gunicorn.socket"]
            if sock.read_deadline is None:
                return application(environ, start_response)
            environ[READ_DEADLINE] = sock.read_deadline
            with watch.until(sock, sock.read_deadline):
                return application(environ, start_response)

        self.wsgi = in_time

    # --- requests come

    def accept(self, listener: socket.socket) -> None:
        """A new connection; where there is no room for it, the one goes that has been waiting longest."""
        if self.nr_conns >= self.worker_connections - 1:
            self._make_room()
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno not in _PASSING:
                raise
            return
        self.nr_conns += 1
        sock = ClientSocket(accepted)
        conn = Connection(self.cfg, sock, address, listener.getsockname(), self.body_limit)
        self._arriving.add(conn)
        self._receive(conn)

    def handle(self, conn: Connection) -> Any:
        """In a thread: a request that is here, or comes at once, as the next one of a kept connection mostly does."""
        if conn.is_served:
            return super().handle(conn)
        while conn.intake.arrival is Arrival.PARTIAL:
            try:
                data = conn.sock.recv(conn.intake.wanted(), socket.MSG_DONTWAIT)
            except BlockingIOError:
                return _LATER
            except OSError:
                return False
            if not data:
                return False
            conn.intake.feed(data)
        if conn.intake.arrival is not Arrival.WHOLE:
            return _LATER
        self._begin(conn)
        return super().handle(conn)

    def _receive(self, conn: Connection, _sock: object = None) -> None:
        try:
            data = conn.sock.recv(conn.intake.wanted())
        except BlockingIOError:
            self._wait_for(conn, selectors.EVENT_READ, self._receive)
        except OSError:
            self._drop(conn)
        else:
            if data:
                self._take(conn, data)
            elif conn.intake.head_is_here:
                self._hand_over(conn)  # the client sends no more, but may listen: it is told what is missing
            else:
                self._drop(conn)

    def _take(self, conn: Connection, data: bytes) -> None:
        self._arrived_bytes += len(data)
        conn.intake.feed(data)
        self._sort(conn)

    def _sort(self, conn: Connection) -> None:
        match conn.intake.arrival:
            case Arrival.WHOLE:
                self._hand_over(conn)
            case Arrival.OPEN:
                self._stop_waiting(conn)
                self._open_waiting.append(conn)
                self._start_open()
            case Arrival.TOO_LONG:
                self._refuse(conn, 431)
            case Arrival.PARTIAL:
                self._wait_for(conn, selectors.EVENT_READ, self._receive)
                if self._arrived_bytes > self.held_bytes and (oldest := next(self._arriving.oldest())) is not conn:
                    self._give_up(oldest)

    def _start_open(self) -> None:
        while self._open_waiting and self._open_slots:
            conn = self._open_waiting.popleft()
            if conn in self._arriving:
                self._open_slots -= 1
                conn.is_open = True
                conn.sock.read_deadline = self._arriving.deadline(conn)
                self._hand_over(conn)

    def _hand_over(self, conn: Connection) -> None:
        """Give the connection to a thread."""
        self._stop_waiting(conn)
        self._arriving.discard(conn)
        self._arrived_bytes -= len(conn.intake)
        self._begin(conn)
        self.enqueue_req(conn)

    def _begin(self, conn: Connection) -> None:
        conn.is_served = True
        conn.parser.unreader.unread(conn.intake.take())

    def _give_up(self, conn: Connection) -> None:
        """The time of a request that has not arrived is over."""
        if not conn.intake.head_is_here:
            self._refuse(conn, 408) if len(conn.intake) else self._drop(conn)
            return
        stop_reading(conn.sock)
        conn.sock.read_deadline = time.monotonic()
        self._hand_over(conn)

    # --- answers go

    def finish_request(self, conn: Connection, served: Future[Any]) -> None:
        """A thread is done with a request, or found that it has not come whole."""
        if not conn.is_served and _result(served) is _LATER:
            conn.sock.setblocking(False)
            self._arriving.add(conn)
            self._arrived_bytes += len(conn.intake)
            self._sort(conn)
            return
        if conn.is_open:
            self._open_slots += 1
            self._start_open()
        if conn.sock.unsent:
            conn.served = served
            conn.sock.setblocking(False)
            self._sending.add(conn)
            self._unsent_bytes += conn.sock.unsent_bytes
            self._send(conn)
            if self._unsent_bytes > self.held_bytes and (oldest := next(self._sending.oldest())) is not conn:
                self._drop(oldest)
        else:
            self._go_on(conn, served)

    def _send(self, conn: Connection, _sock: object = None) -> None:
        try:
            self._unsent_bytes -= conn.sock.send_more()
        except OSError:
            self._drop(conn)
            return
        if conn.sock.unsent:
            self._wait_for(conn, selectors.EVENT_WRITE, self._send)
            return
        self._stop_waiting(conn)
        self._sending.discard(conn)
        if conn.served is not None:
            self._go_on(conn, conn.served)

    def _go_on(self, conn: Connection, served: Future[Any]) -> None:
        if not _result(served):
            self._linger(conn)
            return
        conn.expect_request()
        if rest := conn.parser.unreader.take_buffered():
            conn.sock.setblocking(False)
            self._arriving.add(conn)
            self._take(conn, rest)
        else:
            super().finish_request(conn, served)

    def _linger(self, conn: Connection) -> None:
        """Close when the client has closed, or soon: closing before it has read would take the answer back."""
        conn.sock.setblocking(False)
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
            return
        self._lingering.add(conn)
        self._drain(conn)

    def _drain(self, conn: Connection, _sock: object = None) -> None:
        try:
            data = conn.sock.recv(64 * 1024)
        except BlockingIOError:
            self._wait_for(conn, selectors.EVENT_READ, self._drain)
            return
        except OSError:
            data = b""
        conn.lingered += len(data)
        if not data or conn.lingered > _LINGER_BYTES:
            self._drop(conn)
        else:
            self._wait_for(conn, selectors.EVENT_READ, self._drain)

    # --- refusals and ends

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:  # noqa: ARG002
        """What is no HTTP request, and what an application did not catch: answered in JSON, where gunicorn has HTML."""
        status, text = refusal_of(exc)
        if status == 500:
            self.log.error("a request failed outside of the application's own net", exc_info=exc)
        else:
            self.log.warning("invalid request from %s: %s", addr, exc)
        client.sendall(text)

    def murder_pending(self) -> None:
        """Called by the loop at least once a second: ends what has lasted too long."""
        for conn in self._arriving.overdue():
            self._give_up(conn)
        for queue in (self._sending, self._lingering):
            for conn in queue.overdue():
                self._drop(conn)
        if not self.alive:
            for conn in self._arriving.oldest():
                if not len(conn.intake):
                    self._drop(conn)

    def _refuse(self, conn: Connection, status: int) -> None:
        self._stop_waiting(conn)
        self._arriving.discard(conn)
        self._arrived_bytes -= len(conn.intake)
        conn.sock.sendall(refusal(status))
        self._linger(conn)

    def _make_room(self) -> None:
        for conn in self._arriving.oldest():
            if not conn.intake.head_is_here:
                self._drop(conn)
                return
        if self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            conn.watched = True
            self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        self._stop_waiting(conn)
        if conn in self._arriving:
            self._arrived_bytes -= len(conn.intake)
        if conn in self._sending:
            self._unsent_bytes -= conn.sock.unsent_bytes
        for queue in (self._arriving, self._sending, self._lingering):
            queue.discard(conn)
        self.nr_conns -= 1
        conn.close()

    def _wait_for(self, conn: Connection, event: int, callback: Callable[..., None]) -> None:
        if not conn.watched:
            conn.watched = True
            self.poller.register(conn.sock, event, partial(callback, conn))

    def _stop_waiting(self, conn: Connection) -> None:
        if conn.watched:
            conn.watched = False
            self.poller.unregister(conn.sock)


def _result(served: Future[Any]) -> Any:
    """What a thread answered; False if it failed."""
    return False if served.cancelled() or served.exception() is not None else served.result()
