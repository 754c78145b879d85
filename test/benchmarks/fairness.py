"""Who gets how much, and who waits how long: the dispatcher's own decisions on a virtual clock, beside plain FIFO.

    .venv/bin/python test/benchmarks/fairness.py

One user floods the queue at the beginning. Many regular users bring theirs within the first minutes. Small users bring
single jobs now and then. What decides is execution_engine/dispatch/choice.py and turns.py, as in the dispatcher; the
backend runs jobs in the order in which it gets them.
"""

import heapq
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from execution_engine.dispatch.choice import choose
from execution_engine.dispatch.places import GroupRoom
from execution_engine.dispatch.turns import Turns

FLOODER = "flooder"
Job = dict[str, Any]


@dataclass(frozen=True)
class Load:
    """What is submitted. ``jobs``: in all; durations and times are seconds."""

    jobs: int = 100_000
    users: int = 200
    small_users: int = 20
    jobs_of_small: int = 10
    flood: float = 0.4
    duration: float = 60.0
    slots: int = 100
    seed: int = 1

    def submissions(self) -> list[Job]:
        """All jobs by the time of their submission."""
        chance = random.Random(self.seed)
        flood = int(self.jobs * self.flood)
        regular = self.users - self.small_users - 1
        each = (self.jobs - flood - self.small_users * self.jobs_of_small) // regular
        span = self.jobs * self.duration / self.slots
        who = [(FLOODER, 0.0)] * flood
        who += [(f"regular{n}", chance.uniform(0, 300)) for n in range(regular) for _ in range(each)]
        who += [
            (f"small{n}", chance.uniform(0.1, 0.5) * span)
            for n in range(self.small_users)
            for _ in range(self.jobs_of_small)
        ]
        jobs = [
            {"_id": n, "user": user, "method": "m.f", "submitted": at, "seconds": chance.expovariate(1 / self.duration)}
            for n, (user, at) in enumerate(who)
        ]
        return sorted(jobs, key=lambda job: job["submitted"])


@dataclass
class Outcome:
    """How it went. ``served``: the slot seconds of each user that has much to do, as long as all of them had."""

    waits: dict[str, list[float]] = field(default_factory=dict)
    served: Counter[str] = field(default_factory=Counter)
    ended: float = 0.0

    @property
    def jain(self) -> float:
        """1: all had the same; 1 / users: one had everything."""
        return jain(list(self.served.values()))

    def small_waits(self) -> list[float]:
        """Of every job of a small user."""
        return [wait for user, waits in self.waits.items() if user.startswith("small") for wait in waits]


def jain(shares: Sequence[float]) -> float:
    """The index of fairness of R. Jain, of what each one has had."""
    squares = sum(share**2 for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


class InTurns:
    """The waiting jobs as the dispatcher hands them out."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._lines: dict[str, deque[Job]] = {}

    def add(self, job: Job) -> None:
        self._lines.setdefault(job["user"], deque()).append(job)

    def pick(self, room: int, in_flight: Counter[str]) -> list[Job]:
        users = sorted(self._lines, key=lambda user: self._lines[user][0]["submitted"])
        chosen = choose(
            self._turns.begin(users, in_flight),
            {"backend": room},
            GroupRoom({user: [] for user in users}, {}),
            self._waiting_of,
            lambda _: ("backend",),
        ).get("backend", [])
        for job in chosen:
            line = self._lines[job["user"]]
            line.remove(job)
            if not line:
                del self._lines[job["user"]]
        return chosen

    def _waiting_of(self, user: str, most: int, seen: Sequence[object], _: Sequence[str]) -> list[Job]:
        line = self._lines[user]
        return [line[n] for n in range(len(seen), min(len(line), len(seen) + most))]


class InOrder:
    """The waiting jobs as they came."""

    def __init__(self) -> None:
        self._line: deque[Job] = deque()

    def add(self, job: Job) -> None:
        self._line.append(job)

    def pick(self, room: int, _: Counter[str]) -> list[Job]:
        return [self._line.popleft() for _ in range(min(room, len(self._line)))]


def simulate(load: Load, queue: InTurns | InOrder) -> Outcome:
    """Run all jobs on ``load.slots`` slots, with as many waiting in the backend at most."""
    outcome = Outcome()
    arrivals = deque(load.submissions())
    left = Counter(job["user"] for job in arrivals)
    busy = [user for user in left if not user.startswith("small")]
    outcome.served.update(dict.fromkeys(busy, 0))
    all_busy = True
    in_backend: deque[Job] = deque()
    ends: list[tuple[float, int, Job]] = []
    in_flight: Counter[str] = Counter()
    while arrivals or ends:
        now = min(arrivals[0]["submitted"] if arrivals else float("inf"), ends[0][0] if ends else float("inf"))
        while arrivals and arrivals[0]["submitted"] <= now:
            queue.add(arrivals.popleft())
        while ends and ends[0][0] <= now:
            job = heapq.heappop(ends)[2]
            in_flight[job["user"]] -= 1
            left[job["user"]] -= 1
            if all_busy and job["user"] in outcome.served:
                outcome.served[job["user"]] += job["seconds"]
                # The last of a user's jobs need no more slots than there are jobs: what is compared ends here.
                all_busy = left[job["user"]] > load.slots
        if len(in_backend) < load.slots:
            for job in queue.pick(load.slots - len(in_backend), in_flight):
                in_flight[job["user"]] += 1
                in_backend.append(job)
        while in_backend and len(ends) < load.slots:
            job = in_backend.popleft()
            outcome.waits.setdefault(job["user"], []).append(now - job["submitted"])
            heapq.heappush(ends, (now + job["seconds"], job["_id"], job))
        outcome.ended = now
    return outcome


def report(load: Load) -> Iterable[str]:
    """The lines to print."""
    yield (
        f"{load.jobs:,} jobs of {load.users} users, {load.flood:.0%} of them one user's at once, {load.slots} slots, "
        f"{load.duration:g} s a job"
    )
    policies: dict[str, Callable[[], InTurns | InOrder]] = {"in turns": InTurns, "plain FIFO": InOrder}
    for name, make in policies.items():
        begun = time.perf_counter()
        outcome = simulate(load, make())
        waits = outcome.small_waits()
        yield (
            f"{name:10}  Jain's index {outcome.jain:5.3f}   a small user's job waits {max(waits):9,.0f} s at most, "
            f"{sum(waits) / len(waits):9,.0f} s on average   all done after {outcome.ended:,.0f} s   "
            f"({time.perf_counter() - begun:.0f} s to compute)"
        )


if __name__ == "__main__":
    print("\n".join(report(Load())))
