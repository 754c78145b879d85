"""One attempt, from its start ticket to the acknowledged report of its end."""

from __future__ import annotations

import os
import socket
import time
import traceback

from .calls import FINAL, Engine, Refused
from .ending import failed
from .execution import Execution
from .folder import JobFolder
from .notes import note
from .patience import until_answered
from .report import report
from .stopping import ending_by_order, runner_failed
from .trouble import Trouble, trouble_with_folder
from .work import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .ending import Ending
    from .options import Options
    from .orders import Orders


class NotStarted(Exception):
    """The attempt was left alone: nothing was executed and there is nothing to report."""


class Attempt:
    """The single life of a runner: what it has begun is not taken up again by another."""

    def __init__(self, options: Options, orders: Orders) -> None:
        self._options = options
        self._orders = orders
        self._folder = JobFolder(options.directory)
        self._ids: dict[str, Any] = {"job_id": options.job_id, "attempt": options.attempt}
        self._runner = os.urandom(16).hex()

    def run(self, ticket: str) -> bool:
        """Execute the attempt; False: the engine wants no report of it.

        Raises:
            NotStarted: another runner works in the folder, or the order to stop came first.
            Refused: the engine did not let this runner start.
        """
        trouble = self._claim_folder()
        started = self._start(ticket)
        engine = Engine(self._options.url, started["credential"])
        try:
            ending = failed(trouble.code, trouble.message) if trouble else self._execute(started, engine)
        except Trouble as problem:
            ending = failed(problem.code, problem.message)
        except Refused as refusal:
            ending = self._refused(refusal)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job must not wait for ever
            note(traceback.format_exc())
            ending = runner_failed(error)
        return ending is not None and report(engine, self._ids, ending, self._orders.wait)

    def _claim_folder(self) -> Trouble | None:
        """What prevents the work, to be reported once the attempt is ours."""
        try:
            self._folder.claim(self._runner)
        except FileExistsError as error:
            raise NotStarted(f"another runner works or worked in {self._folder.root}") from error
        except OSError as error:
            return trouble_with_folder(self._folder.root, error)
        return None

    def _start(self, ticket: str) -> dict[str, Any]:
        engine = Engine(self._options.url, ticket)
        params = {**self._ids, "runner": self._runner, "host": socket.gethostname()}
        started = until_answered(lambda: engine.call("start_job", **params), self._pause_before_start)
        engine.close()
        return started

    def _pause_before_start(self, seconds: float) -> None:
        self._orders.wait(seconds)
        if self._orders.stopped:
            raise NotStarted("told to stop before the engine had answered")

    def _execute(self, started: dict[str, Any], engine: Engine) -> Ending | None:
        credential = started["credential"]
        try:
            self._folder.keep_credential(self._runner, credential)
        except OSError as error:
            raise trouble_with_folder(self._folder.root, error) from error
        self._orders.obey(started)
        reason = self._orders.reason(time.monotonic())
        if reason is None:
            work = Work(self._ask(engine, "get_job_params"))
            # By our own clock, which may be wrong, but not by how much time passes.
            now = time.monotonic()
            if work.time_left_ms is not None:
                self._orders.deadline = now + work.time_left_ms / 1000
            reason = self._orders.reason(now)

        def ask() -> dict[str, Any]:
            return self._ask(engine, "heartbeat")

        if reason is not None:
            return ending_by_order(reason, self._orders, ask)
        execution = Execution(
            self._options,
            self._orders,
            self._folder,
            work,
            connect=lambda: Engine(self._options.url, credential),
            ask=ask,
        )
        return execution.run(started["first_line"], started["heartbeat_ms"])

    def _ask(self, engine: Engine, method: str) -> dict[str, Any]:
        return until_answered(lambda: engine.call(method, **self._ids), self._orders.wait)

    def _refused(self, refusal: Refused) -> Ending | None:
        """The end of an attempt whose parameters the engine does not give."""
        if refusal.reason in FINAL:
            self._orders.disown(refusal)
            return None
        return failed("start_failed", f"The engine refuses to describe the job to its runner: {refusal.message}")
