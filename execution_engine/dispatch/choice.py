"""Which waiting jobs of a client group are handed out now, and to which backends."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from execution_engine.dispatch.places import GroupRoom
from execution_engine.dispatch.turns import Round
from execution_engine.store.database import Document

WaitingOf = Callable[[str, int, Sequence[object], Sequence[str]], list[Document]]
"""Of a user so many waiting jobs, oldest first, without these ids and these methods."""
Route = Callable[[Document], Sequence[str]]
"""The names of the backends that may take a job, best first."""


def choose(
    order: Round, room: Mapping[str, int], limits: GroupRoom, waiting_of: WaitingOf, route: Route
) -> dict[str, list[Document]]:
    """The jobs for each backend. ``room``: how many more may wait in each of those that take jobs now, perhaps none.

    A user at a limit, without jobs, or whose jobs only go to backends without room, leaves the others their turns.
    """
    places = dict(room)
    lines: dict[str, Iterator[tuple[Document, str]]] = {}
    chosen: dict[str, list[Document]] = {}
    share = 1 + sum(places.values()) // max(1, len(order))
    while any(places.values()) and (user := order.next) is not None:
        if user not in lines:
            lines[user] = _placeable(user, share, places, waiting_of, route)
        found = next(lines[user], None) if limits.allows(user) else None
        if found is None:
            order.leave()
            continue
        job, backend = found
        chosen.setdefault(backend, []).append(job)
        places[backend] -= 1
        limits.note(user)
        order.serve()
    return chosen


def _placeable(
    user: str, share: int, places: Mapping[str, int], waiting_of: WaitingOf, route: Route
) -> Iterator[tuple[Document, str]]:
    """A user's jobs, oldest first, each with its best backend that takes jobs, as long as that has room."""
    seen: list[object] = []
    closed: list[str] = []
    while jobs := waiting_of(user, share, seen, closed):
        for job in jobs:
            seen.append(job["_id"])
            if job["method"] in closed:
                continue
            backend = next((name for name in route(job) if name in places), None)
            if backend is None or not places[backend]:
                # In one group a user's jobs of one method all go the same way, and no room comes back in this round.
                closed.append(job["method"])
            else:
                yield job, backend
