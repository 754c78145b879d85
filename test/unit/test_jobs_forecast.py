"""Forecasts, held against a simulated site whose queue is in fair order (time is virtual)."""

import datetime as dt
import heapq
import random
from collections import Counter, deque
from dataclasses import dataclass, field

import pytest

from execution_engine.core.clock import EPOCH
from execution_engine.jobs.forecast import LEAST, PROMISED, Forecast, Thin, Wait, forecast
from execution_engine.jobs.queue.notes import Note, answered, kept, places_to_note
from execution_engine.jobs.queue.order import Standing, job_at


def waits(*seconds: float, position: int = 10) -> list[Wait]:
    return [Wait(position, each, started=True) for each in seconds]


def test_the_range_holds_most_of_what_happened() -> None:
    told = forecast(10, waits(*range(1, 101)))
    assert told == Forecast(7, 50, 93, 100)


def test_waits_from_places_nearby_are_scaled_to_the_place() -> None:
    assert forecast(20, waits(*range(1, 101))) == Forecast(14, 100, 186, 100)
    assert forecast(31, waits(*range(1, 101))) == Thin(0), "further off than three times"


def test_too_little_history_is_said() -> None:
    told = forecast(10, waits(*range(1, LEAST)))
    assert isinstance(told, Thin)
    assert told.message == "Too few jobs have started from such a place lately: 19 of the 20 needed."


def test_jobs_that_still_wait_count() -> None:
    # Half of them started within a minute; of the others it is only known that they wait longer than that.
    stuck = [Wait(10, 60, started=False)] * 50
    told = forecast(10, waits(*range(1, 51)) + stuck)
    assert told == Thin(50)
    assert "too many still wait" in told.message
    mixed = forecast(10, waits(*range(1, 101)) + [Wait(10, 50.5, started=False)] * 25)
    assert isinstance(mixed, Forecast)
    assert mixed.median > 50, "the slower half of them is longer by the open ones"


@dataclass
class Site:
    """Slots, a short queue inside the backend, and users who take turns for it."""

    chance: random.Random
    slots: int = 8
    ahead: int = 8
    now: float = 0.0
    waiting: dict[str, deque[int]] = field(default_factory=dict)
    inside: deque[int] = field(default_factory=deque)
    running: list[tuple[float, int]] = field(default_factory=list)
    owner: dict[int, str] = field(default_factory=dict)
    started: dict[int, dt.datetime] = field(default_factory=dict)
    in_flight: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    turns: int = 0

    def submit(self, user: str, jobs: int) -> None:
        for _ in range(jobs):
            job = len(self.owner)
            self.owner[job] = user
            self.waiting.setdefault(user, deque()).append(job)
        self.move()

    def pass_time(self, until: float) -> None:
        while self.running and self.running[0][0] <= until:
            self.now, job = heapq.heappop(self.running)
            self.in_flight[self.owner[job]] -= 1
            self.move()
        self.now = until

    def move(self) -> None:
        while True:
            if self.inside and len(self.running) < self.slots:
                job = self.inside.popleft()
                self.started[job] = self.time()
                heapq.heappush(self.running, (self.now + self.chance.lognormvariate(3, 1), job))
            elif any(self.waiting.values()) and len(self.inside) < self.ahead:
                user, _ = job_at(self.standings(), 0)
                self.turns += 1
                self.served[user] = self.turns
                self.in_flight[user] += 1
                self.inside.append(self.waiting[user].popleft())
            else:
                return

    def time(self) -> dt.datetime:
        return EPOCH + dt.timedelta(seconds=self.now)

    def standings(self) -> dict[str, Standing]:
        heads = sorted((jobs[0], user) for user, jobs in self.waiting.items() if jobs)
        return {
            user: Standing(len(self.waiting[user]), self.in_flight[user], self.served[user], order)
            for order, (_, user) in enumerate(heads)
        }

    def length(self) -> int:
        return len(self.inside) + sum(map(len, self.waiting.values()))

    def at(self, position: int) -> int:
        if position <= len(self.inside):
            return self.inside[position - 1]
        user, n = job_at(self.standings(), position - 1 - len(self.inside))
        return self.waiting[user][n - 1]


def floods(site: Site, tick: int) -> None:
    """Two people send a batch now and then, thirty others a few jobs each; about as much as the site can do."""
    chance = site.chance
    if tick % 180 == 0:
        site.submit(f"flood{tick // 180 % 2}", 350)
    for n in range(30):
        if chance.random() < 0.005:
            site.submit(f"user{n}", chance.randint(1, 4))


def many_small(site: Site, tick: int) -> None:
    """Two hundred people with a job or two, a little less than the site can do."""
    assert tick >= 0
    for n in range(200):
        if site.chance.random() < 0.0065:
            site.submit(f"user{n}", site.chance.randint(1, 2))


@pytest.mark.parametrize("arrivals", [floods, many_small])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_the_range_promises_comes_true(arrivals: object, seed: int) -> None:
    assert callable(arrivals)
    site = Site(random.Random(seed))
    notes: list[Note[int]] = []
    told: list[tuple[int, dt.datetime, Forecast]] = []
    for tick in range(2_000):
        arrivals(site, tick)
        site.pass_time(tick * 10.0)
        at = site.time()
        notes = answered(notes, site.started, {})
        new = places_to_note(notes, site.length(), at, site.chance)
        notes = kept([*notes, *(Note(site.at(position), at, position) for position in new)], at)
        if site.length():
            octave = site.chance.randint(1, site.length().bit_length())
            position = site.chance.randint(1 << (octave - 1), min(site.length(), (1 << octave) - 1))
            found = forecast(position, (note.wait(at) for note in notes))
            if isinstance(found, Forecast):
                told.append((site.at(position), at, found))
    outcomes = [(found, (site.started[job] - at).total_seconds()) for job, at, found in told if job in site.started]
    assert len(outcomes) > 0.9 * len(told) > 500
    within = sum(found.early <= wait <= found.late for found, wait in outcomes) / len(outcomes)
    below = sum(wait <= found.median for found, wait in outcomes) / len(outcomes)
    assert PROMISED - 0.08 <= within <= PROMISED + 0.08, f"{within:.0%} of {len(outcomes)}"
    assert 0.4 <= below <= 0.6, f"{below:.0%} of {len(outcomes)}"
