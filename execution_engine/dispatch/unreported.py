"""Runners that ended well while the engine has no report of them: it may still be on its way through a web process."""

import datetime as dt
from collections.abc import Iterable

from execution_engine.backends.base import Sighting
from execution_engine.store.database import Document

PATIENCE = dt.timedelta(seconds=10)


class Unreported:
    """Remembers since when each of them is gone. A dispatcher that takes over begins to wait anew."""

    def __init__(self) -> None:
        self._since: dict[str, dt.datetime] = {}

    def may_still_come(self, at: dt.datetime, job: Document, gone: Sighting) -> bool:
        """Whether the report of a started attempt, confirmed gone, is to be waited for."""
        attempt = job["attempt"]
        if gone.exit_code != 0 or "runner" not in attempt or "interrupted" in attempt:
            return False
        return at < self._since.setdefault(attempt["tag"], at) + PATIENCE

    def forget_others(self, jobs: Iterable[Document]) -> None:
        """Keep only what is known of these jobs."""
        tags = {job["attempt"]["tag"] for job in jobs}
        self._since = {tag: since for tag, since in self._since.items() if tag in tags}
