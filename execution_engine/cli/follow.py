"""Follows a job: its log line by line, its progress, its end; over restarts of the engine."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from execution_engine.cli.client import CallFailed, Engine, Unreachable

PAGE_LINES = 1000
SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
LONGEST_RETRY_PAUSE = 5.0
PATIENCE_SECONDS = 120.0
STATE_FIELDS = ["status", "progress", "hold", "cancel_requested", "children"]


class TimedOut(Exception):
    """The time that the caller set has passed before the job ended."""


class View(AbstractContextManager["View"], Protocol):
    """Where the news goes."""

    def line(self, line: Mapping[str, Any]) -> None:
        """The next line of the log."""

    def state(self, record: Mapping[str, Any]) -> None:
        """The job's status and progress, as they are now."""

    def trouble(self, text: str) -> None:
        """The engine can't be reached at the moment; empty once it can again."""


class Follower:
    """One job that is followed from a line of its log on."""

    def __init__(
        self,
        engine: Engine,
        job_id: str,
        view: View,
        *,
        deadline: float | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """``deadline``: on the monotonic clock."""
        self._engine = engine
        self._job_id = job_id
        self._view = view
        self._deadline = deadline
        self._pause = pause

    def follow(self, skip: int = 0) -> dict[str, Any]:
        """Shows every line from number ``skip`` on, once and in order; returns the record after the job's end.

        Raises:
            TimedOut: the deadline has passed.
            Unreachable, CallFailed: the engine was out of reach for longer than PATIENCE_SECONDS, or refuses.
        """
        pause = SHORTEST_PAUSE
        held = skip
        with self._view:
            while True:
                log = self._persistently("get_logs", {"job_id": self._job_id, "skip": held, "limit": PAGE_LINES})
                for line in log["lines"]:
                    self._view.line(line)
                    held = line["n"] + 1
                if log["lines"]:
                    pause = SHORTEST_PAUSE
                    if held < log["total_lines"]:
                        continue
                if log["ended"]:
                    return self._record()
                self._view.state(self._record(STATE_FIELDS))
                self._wait(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)

    def wait(self) -> dict[str, Any]:
        """As :meth:`follow`, without the log: also for a batch."""
        pause = SHORTEST_PAUSE
        with self._view:
            while True:
                record = self._record([*STATE_FIELDS, "finished"])
                if "finished" in record:
                    return self._record()
                self._view.state(record)
                self._wait(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)

    def _record(self, fields: list[str] | None = None) -> dict[str, Any]:
        params: dict[str, Any] = {"job_id": self._job_id} | ({"fields": fields} if fields else {})
        return self._persistently("check_job", params)

    def _persistently(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, asked for again and again while the engine is restarting or busy: asking changes nothing."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        pause = SHORTEST_PAUSE
        while True:
            try:
                answer: dict[str, Any] = self._engine.call(method, params)
            except (Unreachable, CallFailed) as error:
                if time.monotonic() > give_up or (isinstance(error, CallFailed) and not error.is_temporary):
                    raise
                self._view.trouble(str(error))
                self._wait(pause)
                pause = min(pause * 2, LONGEST_RETRY_PAUSE)
            else:
                self._view.trouble("")
                return answer

    def _wait(self, seconds: float) -> None:
        if self._deadline is None:
            self._pause(seconds)
            return
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimedOut
        self._pause(min(seconds, left))
