"""The dispatcher: one loop that feeds the backends, reconciles, and cleans up, as long as it holds the lease."""

import logging
import os
import socket
import threading
import time
import uuid

from pymongo.errors import PyMongoError

from execution_engine.backends.base import Backend
from execution_engine.core import clock
from execution_engine.dispatch.aftermath import Aftermath
from execution_engine.dispatch.desk import Desk
from execution_engine.dispatch.feed import Feed
from execution_engine.dispatch.places import Places
from execution_engine.dispatch.post import Post
from execution_engine.dispatch.queue_book import QueueBook
from execution_engine.dispatch.reconcile import Reconciler
from execution_engine.dispatch.sweep import forget_late_heartbeats, forget_old_acts, sweep_orphans
from execution_engine.jobs.engine import Engine
from execution_engine.store.leases import LeaseLost
from execution_engine.store.recent_fold import RecentFold

_ORPHANS_SECONDS = 10.0
_SWEEP_SECONDS = 600.0
_FORGET_SECONDS = 10.0
_WISHES_SECONDS = 1.0
_QUEUES_SECONDS = 1.0
_WAITS_SECONDS = 5.0
_RECENT_SECONDS = 2.0
_STAND_BY_SECONDS = 0.5
_AFTER_FAILURE_SECONDS = 0.5
_log = logging.getLogger("execution_engine.dispatch")


class Dispatcher:
    """One process's part in dispatching; others stand by and take over when it goes."""

    def __init__(self, engine: Engine, backends: dict[str, Backend]) -> None:
        settings = engine.settings
        self._engine = engine
        self._pause = settings.dispatch_interval_ms / 1000
        self._desks = {name: Desk(backend, engine.backends) for name, backend in backends.items()}
        owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._post = Post(engine.jobs, engine.slots, engine.leases, owner, settings.lease_seconds)
        groups = list(settings.client_groups.values())
        places = Places(self._post, engine.limits, engine.slots)
        self._feed = Feed(self._post, places, engine.routing, groups, self._desks)
        self._reconciler = Reconciler(
            self._post, self._desks, settings.submit_timeout_seconds, settings.held_seconds, settings.max_start_attempts
        )
        self._aftermath = Aftermath(
            engine.jobs,
            engine.payloads,
            engine.heartbeats,
            engine.slots,
            catalog_counts=bool(settings.service_token_file),
        )
        self._queue_book = QueueBook(engine)
        self._recent = RecentFold(engine.database)
        self._recent_is_behind = False
        self._reconcile_every = settings.reconcile_interval_ms / 1000
        self._due: dict[str, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Dispatch until ``stop``; faults of the database or of a backend are waited out."""
        while not stop.is_set():
            try:
                if not self._post.hold():
                    stop.wait(_STAND_BY_SECONDS)
                elif not self.round():
                    stop.wait(self._pause)
            except LeaseLost:
                _log.warning("another dispatcher has taken over; standing by")
            except PyMongoError as error:
                _log.warning("the database does not answer: %s", error)
                stop.wait(_AFTER_FAILURE_SECONDS)
            except Exception:  # noqa: BLE001  whatever it is, the next round may do better than a dead process
                _log.exception("a round of the dispatcher failed")
                stop.wait(_AFTER_FAILURE_SECONDS)
        self._leave()

    def keep_post(self, stop: threading.Event) -> None:
        """Beside :meth:`run`: hold on to the post while a backend is slow to answer.

        Otherwise the stand-bys would take turns with it, and none would get anywhere.
        """
        while not stop.wait(self._engine.settings.lease_seconds / 3):
            try:
                self._post.renew()
            except PyMongoError as error:
                _log.debug("the lease was not renewed: %s", error)

    def round(self) -> bool:
        """One round; whether there was so much to hand out that the next one should follow at once."""
        if self._is_due("wishes", _WISHES_SECONDS):
            drained = self._engine.backends.drained()
            for name, desk in self._desks.items():
                desk.drained = name in drained
        if self._is_due("reconcile", self._reconcile_every):
            for desk in self._desks.values():
                desk.report()
            self._reconciler.run()
            self._aftermath.run()
            self._engine.audit.collect()
        if self._is_due("queues", _QUEUES_SECONDS):
            self._queue_book.tell_served(self._feed.served())
        if self._is_due("waits", _WAITS_SECONDS):
            self._queue_book.note_waits(clock.now())
        if self._is_due("recent", _RECENT_SECONDS) or self._recent_is_behind:
            # One step: after a long pause the table catches up over many rounds, and hands-outs go on meanwhile.
            self._recent_is_behind = self._recent.step(clock.now())
        if self._is_due("orphans", _ORPHANS_SECONDS):
            self._reconciler.end_orphans()
        self._forget()
        return self._feed.run() > 0

    def _forget(self) -> None:
        """Remove what nobody needs any more."""
        if self._is_due("audit", _FORGET_SECONDS):
            forget_old_acts(self._engine.audit, self._engine.settings.audit_keep_days)
        if self._is_due("sweep", _SWEEP_SECONDS):
            sweep_orphans(self._engine.jobs, self._engine.payloads)
            forget_late_heartbeats(self._engine.jobs, self._engine.heartbeats)

    def _is_due(self, what: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every
        return True

    def _leave(self) -> None:
        try:
            self._post.leave()
        except PyMongoError as error:
            _log.warning("the lease could not be given back, it runs out by itself: %s", error)
