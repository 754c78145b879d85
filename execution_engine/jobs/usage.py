"""Who has how many jobs waiting, held by a limit of theirs, inside backends and running, in each client group."""

from collections import Counter

from execution_engine.jobs.engine import Engine
from execution_engine.jobs.queue.look import Queue
from execution_engine.store.database import Document


def people_of(queue: Queue) -> list[Document]:
    """``{user, waiting, held, inside, running}`` of everybody with jobs in a group, who waits for most first."""
    inside = Counter(it.user for it in queue.inside)
    people: list[Document] = [
        {
            "user": user,
            "waiting": queue.standing(user).waiting,
            "held": queue.held.get(user, 0),
            "inside": inside[user],
            "running": queue.running.get(user, 0),
        }
        for user in queue.standings.keys() | queue.held.keys() | queue.in_flight.keys()
    ]
    return sorted(people, key=lambda it: (-it["waiting"] - it["held"], it["user"]))


def usage(engine: Engine) -> list[Document]:
    """Everybody's numbers, each with its ``client_group``, in the configuration's order of groups."""
    return [
        {"client_group": group, **numbers}
        for group in engine.settings.client_groups
        for numbers in people_of(engine.queues.read(group))
    ]
