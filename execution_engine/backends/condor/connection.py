"""Calls to HTCondor with an end: each is made by a process that is killed when the answer takes too long.

HTCondor's library blocks in C with Python's lock held, for 20 s and more when a daemon hangs: no thread of this process
could run meanwhile, nor give up waiting. Its configuration and its tokens are those of the whole process, too. So each
backend has a process that does nothing else.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any


class NoAnswer(Exception):
    """HTCondor does not answer, or not in time; whether it did what was asked is not known."""


class NotTaken(Exception):
    """HTCondor does not take the jobs, none of them. ``transient``: it may do so later."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


class Connection:
    """Asks one pool, one call at a time; safe to use from several threads."""

    def __init__(self, collector: str, schedd: str, token_dir: str) -> None:
        """``collector`` as host:port, ``schedd`` as its name; empty: what the configuration of this machine says.

        ``token_dir``: the folder with the IDTOKENS to use instead of what the configuration of this machine says.
        """
        self._command = [sys.executable, "-m", "execution_engine.backends.condor.worker", collector, schedd]
        self._environment = {**os.environ, **_configuration(collector, token_dir)}
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def call(self, name: str, seconds: float, **arguments: Any) -> Any:
        """The answer of one of the calls of :class:`~execution_engine.backends.condor.bindings.Pool`.

        Raises:
            NoAnswer: there is none within ``seconds``, or it says that a daemon can't be reached.
            NotTaken: a submission was refused.
        """
        with self._lock:
            answer = self._exchange({"call": name, "arguments": arguments}, seconds)
        if "refused" in answer:
            raise NotTaken(_one_line(answer["refused"]), transient=answer["transient"])
        if "failed" in answer:
            raise NoAnswer(_one_line(answer["failed"]))
        return answer["result"]

    def close(self) -> None:
        """Ends the process; the next call starts another one."""
        with self._lock:
            self._end()

    def _exchange(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        process = self._running()
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, give_up)
        timer.start()
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]  # a pipe
            process.stdin.flush()  # type: ignore[union-attr]
            line = process.stdout.readline()  # type: ignore[union-attr]
        except BrokenPipeError:
            line = b""
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._end()
        if late.is_set():
            raise NoAnswer(f"it did not answer within {seconds:.0f} s")
        raise NoAnswer(f"the process that asks it ended by itself (exit code {process.returncode})")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _configuration(collector: str, token_dir: str) -> dict[str, str]:
    """What the library is told beside the configuration of this machine, as variables of its environment."""
    told = {}
    if collector:
        told["_CONDOR_COLLECTOR_HOST"] = collector
    if token_dir:
        told["_CONDOR_SEC_TOKEN_DIRECTORY"] = token_dir
        told["_CONDOR_SEC_CLIENT_AUTHENTICATION_METHODS"] = "IDTOKENS"
    return told


def _one_line(text: str) -> str:
    return " ".join(text.split())
