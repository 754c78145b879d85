"""Executing the app: from the empty folder to the last delivered log line."""

from __future__ import annotations

import signal
import time

from .account import find_account
from .console import Console
from .delivery import Delivery
from .ending import ended_app
from .environment import app_environment
from .heartbeat import Heartbeat
from .launch import launch
from .orders import CANCELLED, DISOWNED, FAILED, STOPPED, TIME_LIMIT
from .process_tree import ProcessTree
from .spool import Spool
from .stopping import ending_by_order

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from typing import Any

    from .calls import Engine
    from .ending import Ending
    from .folder import JobFolder
    from .options import Options
    from .orders import Orders
    from .work import Work

LEFTOVER_SECONDS = 0.1  # what ends with the app by itself may take so long
DRAIN_SECONDS = 2.0
GRACE_WHEN_STOPPED = 3.0
KILLED = {
    status
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP)
    for status in (-number, 128 + number)
}
ANNOUNCED = {
    CANCELLED: "The job was cancelled: the app is stopped.",
    TIME_LIMIT: "The time limit is reached: the app is stopped.",
    STOPPED: "The runner was told to stop: the app is stopped.",
    DISOWNED: "The engine no longer knows this execution: the app is stopped.",
    FAILED: "The runner failed: the app is stopped.",
}


class Execution:
    """One execution of ``work``.

    ``connect`` makes a connection with the attempt's credential for a thread; ``ask`` fetches the engine's orders.
    """

    def __init__(
        self,
        options: Options,
        orders: Orders,
        folder: JobFolder,
        work: Work,
        *,
        connect: Callable[[], Engine],
        ask: Callable[[], dict[str, Any]],
    ) -> None:
        self._options = options
        self._orders = orders
        self._folder = folder
        self._work = work
        self._connect = connect
        self._ask = ask
        self._ids: dict[str, Any] = {"job_id": options.job_id, "attempt": options.attempt}
        self._tree = ProcessTree()

    def run(self, first_line: int, heartbeat_ms: int) -> Ending | None:
        """Execute the app; when this returns nothing of it runs any more and its log is with the engine.

        None: the engine wants no report.

        Raises:
            Trouble: it could not be started.
        """
        account = find_account(self._options.run_as) if self._options.run_as else None
        self._folder.prepare(self._work, account)
        limits = self._work.limits
        spool = Spool(self._folder.spool, self._options.spool_bytes)
        console = Console(spool, limits["line_chars"], self._orders.fail)
        delivery = Delivery(
            self._connect(), spool, self._orders, ids=self._ids, first_line=first_line, most=limits["lines_per_call"]
        )
        heartbeat = Heartbeat(self._connect(), self._orders, self._ids, self._folder.progress, heartbeat_ms)
        app = launch(
            self._work.app,
            folder=self._folder.work,
            environment=app_environment(self._work, self._folder, self._options.attempt),
            account=account,
        )
        try:
            self._tree.watch(app)
            console.attach(app)
            for thread in (console, delivery, heartbeat):
                thread.start()
            reason = self._watch(app)
            self._end_processes(reason, console)
            console.finish(DRAIN_SECONDS)
            delivery.finish()
            heartbeat.finish()
        finally:
            self._tree.end(self._options.grace, lambda: None)
            self._folder.forget_token()
        return self._ending(reason, app.returncode, console.last_errors())

    def _watch(self, app: subprocess.Popen[bytes]) -> str | None:
        """Why the app was not left to its end; None: it ended by itself."""
        while app.poll() is None:
            self._tree.collect()
            now = time.monotonic()
            reason = self._orders.reason(now)
            if reason is not None and app.poll() is None:
                return reason
            deadline = self._orders.deadline
            self._orders.wait(60.0 if deadline is None else max(0.0, min(60.0, deadline - now)))
        return None

    def _end_processes(self, reason: str | None, console: Console) -> None:
        grace = self._options.grace
        if reason == STOPPED:
            grace = min(grace, GRACE_WHEN_STOPPED)
        if reason is not None:
            console.say(ANNOUNCED[reason])
        elif self._tree.gone_within(LEFTOVER_SECONDS):
            return
        else:
            console.say("Processes that the app left running are ended.")
        left = self._tree.end(grace, lambda: console.say(f"Not ended within {grace:g} s: ended by force."))
        if left:
            console.say(f"{left} processes could not be ended, not even by force.")

    def _ending(self, reason: str | None, status: int, last_errors: str) -> Ending | None:
        orders = self._orders
        if status in KILLED or orders.refusal is not None or orders.failure is not None:
            reason = reason or orders.reason(
                time.monotonic()
            )  # a scheduler's signals may reach the app before the runner
        if reason is None:
            return ended_app(status, self._folder.output, self._work.limits["output_bytes"], last_errors)
        return ending_by_order(reason, orders, self._ask, last_errors)
