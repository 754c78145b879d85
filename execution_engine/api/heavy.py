"""Calls that cost a hundred ordinary ones: how many of them one user may have under way in this process."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from execution_engine.api.logs import DEFAULT_LIMIT
from execution_engine.core.errors import Busy
from execution_engine.jobs.identity import User
from execution_engine.rpc.registry import Handler, Registry
from execution_engine.store.database import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDINARY_IDS = 100
RETRY_AFTER_MS = 1_000


class Weight(NamedTuple):
    """kind: calls of a kind count together. is_heavy: whether a call with these parameters counts."""

    kind: str
    is_heavy: Callable[[Document], bool]


def _always(_: Document) -> bool:
    return True


def _many_ids(params: Document) -> bool:
    return len(params["job_ids"]) > ORDINARY_IDS


def _long_page(params: Document) -> bool:
    return bool(max(params.get("limit", 0), params.get("tail", 0)) > DEFAULT_LIMIT)


HEAVY = {
    "list_jobs": Weight("lists", _always),
    "list_audit": Weight("lists", _always),
    "check_jobs": Weight("many jobs", _many_ids),
    "cancel_jobs": Weight("many jobs", _many_ids),
    "retry_jobs": Weight("many jobs", _many_ids),
    "hide_job": Weight("many jobs", _many_ids),
    "unhide_job": Weight("many jobs", _many_ids),
    "run_jobs": Weight("batches", lambda params: len(params["jobs"]) > ORDINARY_IDS),
    "get_logs": Weight("long logs", _long_page),
}


class HeavyCalls:
    """Counts the heavy calls that are under way, by user and kind. Administrators count like everybody."""

    def __init__(self, limit: int) -> None:
        """``limit``: calls of one kind that a user may have under way at the same time."""
        self._limit = limit
        self._running: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def limited(self, weight: Weight, handler: Handler) -> Handler:
        """The handler, which refuses what is too much.

        Raises:
            Busy: its data has ``retry_after_ms``.
        """

        def handle(user: User, params: Document) -> object:
            if not weight.is_heavy(params):
                return handler(user, params)
            with self._counted(user.name, weight.kind):
                return handler(user, params)

        return handle

    @contextmanager
    def _counted(self, user: str, kind: str) -> "Iterator[None]":
        with self._lock:
            if self._running[user, kind] >= self._limit:
                raise Busy(
                    f"You have {self._limit} calls of this kind ({kind}) under way; wait for one to end.",
                    retry_after_ms=RETRY_AFTER_MS,
                )
            self._running[user, kind] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[user, kind] -= 1
                if not self._running[user, kind]:
                    del self._running[user, kind]


def limit_heavy_calls(registry: Registry, limit: int) -> None:
    """Let each user have at most ``limit`` heavy calls of each kind under way."""
    calls = HeavyCalls(limit)
    for name, weight in HEAVY.items():
        if method := registry.methods.get(name):  # one that is missing is the registry's own complaint
            method.handler = calls.limited(weight, method.handler)
