"""The order in which a client group's waiting jobs would be handed out, as it follows from dispatch/turns.py.

Who has least in flight is next, then who was served longest ago, then whose oldest job is older. So the n-th waiting
job of a user with ``in_flight`` others comes at level ``in_flight + n - 1``: lower levels first; within a level first
those who begin there, then those who have climbed up to it. That makes any place a matter of one pass over the users,
however many jobs they have. It is the order of this moment: jobs that end or come in change it.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Standing(NamedTuple):
    """One user in a client group.

    waiting: jobs that may be handed out. in_flight: jobs that a backend may have. served: grows with the user's last
    turn, 0: none that is known of. seniority: by the age of the oldest job, 0 is the oldest.
    """

    waiting: int
    in_flight: int
    served: int
    seniority: int


def jobs_ahead(standings: Mapping[str, Standing], user: str, n: int) -> dict[str, int]:
    """By user, how many jobs are handed out before the ``n``-th (from 1) waiting one of ``user``."""
    own = standings[user]
    level = own.in_flight + n - 1
    ahead = {user: n - 1} if n > 1 else {}
    for name, other in standings.items():
        if name == user:
            continue
        begun = min(other.waiting, max(0, level - other.in_flight))
        at_level = other.in_flight <= level < other.in_flight + other.waiting
        count = begun + (at_level and _rank(other) < _rank(own))
        if count:
            ahead[name] = count
    return ahead


def job_at(standings: Mapping[str, Standing], place: int) -> tuple[str, int]:
    """The user whose job is at ``place`` (from 0), and which of the user's waiting ones it is (from 1).

    Raises:
        IndexError: so many jobs don't wait.
    """
    low, high = 0, max((it.in_flight + it.waiting for it in standings.values()), default=0)
    if not 0 <= place < _below(standings, high):
        raise IndexError(place)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _below(standings, middle) <= place else (low, middle)
    there = [name for name, it in standings.items() if it.in_flight <= low < it.in_flight + it.waiting]
    there.sort(key=lambda name: _rank(standings[name]))
    user = there[place - _below(standings, low)]
    return user, low - standings[user].in_flight + 1


def _below(standings: Mapping[str, Standing], level: int) -> int:
    """How many jobs come before this level."""
    return sum(min(it.waiting, max(0, level - it.in_flight)) for it in standings.values())


def _rank(standing: Standing) -> tuple[int, int, int]:
    """Within a level: who has climbed there from further below was served later."""
    return -standing.in_flight, standing.served, standing.seniority
