"""When a waiting job may start, from what became of jobs that stood at about the same place lately.

Each note (jobs/queue/notes.py) says where a job stood, and how long it was until it started; or that it has not started
yet, or was taken away, after so long. Those within a factor of the place are scaled to it, and a median and a range are
read from them by the estimate of Kaplan and Meier. It takes jobs that still wait for what they are: leaving them out
would promise too much whenever a queue grows.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

NEAR = 3
"""Places up to so many times as far ahead or behind are compared."""
LEAST = 20
"""So many comparable jobs must have started."""
PROMISED = 0.8
"""The share of jobs that start within the range: test/unit/test_jobs_forecast.py plays a site and counts."""
_EARLY, _MEDIAN, _LATE = 0.07, 0.5, 0.93  # a little wider than the promise: jobs that stood together fared alike


class Wait(NamedTuple):
    """A job stood at ``position`` (from 1) and waited so many seconds from then on; ``started``: and then started."""

    position: int
    seconds: float
    started: bool


class Forecast(NamedTuple):
    """Seconds from now until the job starts: a tenth of the jobs start before ``early``, a tenth after ``late``.

    ``started``: of how many jobs that start is known, on which this rests.
    """

    early: float
    median: float
    late: float
    started: int


class Thin(NamedTuple):
    """History can't tell. ``started``: of how many comparable jobs the start is known."""

    started: int

    @property
    def message(self) -> str:
        """Why, in words."""
        if self.started < LEAST:
            return f"Too few jobs have started from such a place lately: {self.started} of the {LEAST} needed."
        return f"Of the jobs at such a place {self.started} have started lately, and too many still wait."


def forecast(position: int, waits: Iterable[Wait]) -> Forecast | Thin:
    """For the job at ``position`` (from 1)."""
    near = [wait for wait in waits if wait.position <= position * NEAR and position <= wait.position * NEAR]
    started = sum(wait.started for wait in near)
    if started < LEAST:
        return Thin(started)
    scaled = sorted((wait.seconds * position / wait.position, not wait.started) for wait in near)
    early, median, late = _quantiles(scaled, (_EARLY, _MEDIAN, _LATE))
    if early is None or median is None or late is None:
        return Thin(started)
    return Forecast(early, median, late, started)


def _quantiles(waits: Sequence[tuple[float, bool]], shares: Sequence[float]) -> list[float | None]:
    """The waits by which these shares have started; None where too many have not. ``waits``: sorted, (time, open)."""
    found: list[float | None] = [None] * len(shares)
    waiting = 1.0
    for index, (seconds, still_open) in enumerate(waits):
        if still_open:
            continue
        waiting *= 1 - 1 / (len(waits) - index)
        for which, share in enumerate(shares):
            if found[which] is None and 1 - waiting >= share - 1e-9:
                found[which] = seconds
    return found
