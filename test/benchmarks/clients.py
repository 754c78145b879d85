"""Clients that call again as soon as they are answered, on connections that stay open, in processes of their own.

Requests are encoded beforehand and answers are not decoded, so that the clients take little of the machine that is
measured; what they take is reported.
"""

import contextlib
import json
import multiprocessing
import select
import socket
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import Any, Protocol

from floor import FLOOR_PATH

PROCESSES = 2
BURST = 24
PATIENCE_SECONDS = 60


@dataclass
class Sample:
    """What some clients measured in ``seconds``: a latency (s) for each call, and their own CPU time (s)."""

    seconds: float
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    cpu: float = 0.0


class Task(Protocol):
    """Something that clients do again and again."""

    def run(self, web: "Web", clients: Sequence[int], seconds: float) -> Sample:
        """Let the clients with these numbers do it for ``seconds``."""


class Connection:
    """One HTTP connection: a request out, its answer in."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = 0.0
        self._received = bytearray()
        self._length = 0

    def send(self, request: bytes) -> None:
        self._received.clear()
        self._length = 0
        self.sent = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Takes what has come; True once the answer is whole.

        Raises:
            RuntimeError: it is an error.
        """
        data = self.socket.recv(1 << 20)
        if not data:
            raise RuntimeError("the server closed the connection")
        self._received += data
        if not self._length:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return False
            at = self._received.index(b"Content-Length: ") + 16
            self._length = end + 4 + int(self._received[at : self._received.index(b"\r", at)])
        if len(self._received) < self._length:
            return False
        if not self._received.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"the server answered: {bytes(self._received[:2000])!r}")
        return True

    def ask(self, request: bytes) -> Any:
        """One exchange; the decoded answer, which must be short."""
        self.send(request)
        while not self.receive():
            pass
        return json.loads(self._received.partition(b"\r\n\r\n")[2])


class Web:
    """The web server, with the connections that one client process holds to it.

    They are spread evenly over the server's processes: left to chance they are not, and chance would drown what is
    compared.
    """

    def __init__(self, port: int, workers: int) -> None:
        self._port = port
        self._workers = workers
        self._open: list[Connection] = []

    def connections(self, count: int) -> list[Connection]:
        if len(self._open) < count:
            for connection in self._open:
                connection.socket.close()
            self._open = self._spread(count)
        return self._open[:count]

    def _spread(self, count: int) -> list[Connection]:
        most = -(-count // self._workers)
        chosen: list[Connection] = []
        held: Counter[str] = Counter()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(chosen) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the connections can't be spread over the server's processes: {held}")
            burst = [Connection(self._port) for _ in range(BURST)]
            for connection in burst:
                process = connection.ask(encode(FLOOR_PATH, "Floor.empty", {}))["result"][0]
                if held[process] < most and len(chosen) < count:
                    held[process] += 1
                    chosen.append(connection)
                else:
                    connection.socket.close()
        return chosen


def encode(path: str, method: str, params: Any, token: str = "") -> bytes:
    """A whole request. JSON-RPC 1.1, because there HTTP's status tells an error."""
    body = json.dumps({"version": "1.1", "id": "1", "method": method, "params": [params] if params else []}).encode()
    return head(path, token, len(body)) + body


def head(path: str, token: str, length: int) -> bytes:
    """The head of a request."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, *([f"Authorization: {token}"] if token else []), "", ""]).encode()


class Calls:
    """Clients that call the web server. ``requests(client)``: what the client sends, one after the other."""

    def __init__(self, requests: Callable[[int], Iterator[bytes]]) -> None:
        self._requests = requests

    def run(self, web: Web, clients: Sequence[int], seconds: float) -> Sample:
        connections = {connection.socket.fileno(): connection for connection in web.connections(len(clients))}
        requests = dict(zip(connections, (self._requests(client) for client in clients), strict=True))
        sample = Sample(seconds)
        cpu = time.process_time()
        with select.epoll() as poll:
            end = time.perf_counter() + seconds
            for number, connection in connections.items():
                poll.register(number, select.EPOLLIN)
                connection.send(next(requests[number]))
            busy = len(connections)
            while busy:
                for number, _ in poll.poll():
                    connection = connections[number]
                    if not connection.receive():
                        continue
                    answered = time.perf_counter()
                    if answered > end:
                        busy -= 1
                    else:
                        sample.latencies.append(answered - connection.sent)
                        connection.send(next(requests[number]))
        sample.cpu = time.process_time() - cpu
        return sample


class ClientProcesses:
    """Carries tasks out in PROCESSES processes at once; client n lives in process n modulo PROCESSES."""

    def __init__(self, tasks: Mapping[str, Task], port: int, workers: int) -> None:
        self._pipes: list[Pipe] = []
        self._processes = []
        context = multiprocessing.get_context("fork")
        for _ in range(PROCESSES):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, tasks, Web(port, workers)), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def run(self, name: str, clients: int, seconds: float) -> Sample:
        """One task by so many clients for so long; raises RuntimeError if a call failed."""
        shares = [range(first, clients, PROCESSES) for first in range(PROCESSES)]
        active = [(pipe, share) for pipe, share in zip(self._pipes, shares, strict=True) if share]
        for pipe, share in active:
            pipe.send((name, share, seconds))
        whole = Sample(seconds)
        for pipe, _ in active:
            part, problem = pipe.recv()
            if problem:
                raise RuntimeError(f"{name}: {problem}")
            whole.latencies.extend(part.latencies)
            whole.cpu = max(whole.cpu, part.cpu)
        return whole

    def close(self) -> None:
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.close()
            process.join(10)


def _serve(pipe: Pipe, tasks: Mapping[str, Task], web: Web) -> None:
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            name, clients, seconds = pipe.recv()
            try:
                pipe.send((tasks[name].run(web, clients, seconds), None))
            except Exception as error:  # noqa: BLE001  the parent raises it
                pipe.send((None, f"{type(error).__name__}: {error}"))
