"""Whose job is next: in each client group users take turns."""

from collections.abc import Iterable, Mapping
from heapq import heapify, heapreplace


class Turns:
    """Divides free places among users: who has least with the backends is first, then who was served longest ago."""

    def __init__(self) -> None:
        self._count = 0
        self._served: dict[str, int] = {}

    def divide(self, places: int, users: Iterable[str], in_flight: Mapping[str, int]) -> dict[str, int]:
        """How many of ``places`` each user gets, as if everybody had enough jobs waiting.

        ``users`` come in the order of their oldest job, which decides among those who were never served.
        """
        heap = [(in_flight.get(user, 0), self._served.get(user, 0), order, user) for order, user in enumerate(users)]
        heapify(heap)
        shares: dict[str, int] = {}
        for _ in range(places if heap else 0):
            load, _, order, user = heap[0]
            shares[user] = shares.get(user, 0) + 1
            self._count += 1
            heapreplace(heap, (load + 1, self._count, order, user))
            self._served[user] = self._count
        return shares
