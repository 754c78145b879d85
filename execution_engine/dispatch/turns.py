"""Whose job is next: in each client group users take turns."""

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heapreplace


class Turns:
    """Orders the users of a client group: who has least in flight is first, then who was served longest ago."""

    def __init__(self) -> None:
        self._count = 0
        self._served: dict[str, int] = {}

    def begin(self, users: Iterable[str], in_flight: Mapping[str, int]) -> "Round":
        """The order now. ``users`` come by the age of their oldest job, which decides among those never served."""
        return Round(self, users, in_flight)

    def last_served(self, user: str) -> int:
        """Grows with every turn; 0 for one who never had any."""
        return self._served.get(user, 0)

    def note_served(self, user: str) -> int:
        """The user has had a turn; its number."""
        self._count += 1
        self._served.pop(user, None)  # the table is in the order of turns
        self._served[user] = self._count
        return self._count

    def latest(self, most: int) -> list[str]:
        """Who had a turn, up to so many, the latest last."""
        return list(self._served)[-most:]


class Round:
    """One handing out of places: each user who is next is either served, and comes in again behind, or leaves."""

    def __init__(self, turns: Turns, users: Iterable[str], in_flight: Mapping[str, int]) -> None:
        self._turns = turns
        self._heap = [
            (in_flight.get(user, 0), turns.last_served(user), order, user) for order, user in enumerate(users)
        ]
        heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next(self) -> str | None:
        """Whose turn it is; None once nobody is left."""
        return self._heap[0][-1] if self._heap else None

    def serve(self) -> None:
        """The next user gets a place."""
        load, _, order, user = self._heap[0]
        heapreplace(self._heap, (load + 1, self._turns.note_served(user), order, user))

    def leave(self) -> None:
        """The next user can have no place in this round, and eats up nobody's."""
        heappop(self._heap)
