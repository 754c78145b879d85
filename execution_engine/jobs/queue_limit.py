"""The limit of waiting jobs, as it meets who submits."""

from collections.abc import Iterator
from contextlib import contextmanager

from execution_engine.core.errors import QueueLimitReached
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.limits import Bound
from execution_engine.store.submissions import QueueFull


@contextmanager
def queue_room(engine: Engine, user: str, new: int, *, repeatable: bool) -> Iterator[int | None]:
    """How many waiting jobs the user may have; for the block that writes ``new`` of them within that number.

    ``repeatable``: the submission has an idempotency key. Others are refused before anything is written, but of these
    it may be the first request that has filled the queue.

    Raises:
        QueueLimitReached: they would be too many.
    """
    bound = engine.limit_reader.read().queued(user)
    if bound is None:
        yield None
        return
    try:
        if not repeatable:
            _look(engine, user, new, bound.most)
        yield bound.most
    except QueueFull as full:
        raise _refusal(bound, full.waiting, new) from full


def _look(engine: Engine, user: str, new: int, most: int) -> None:
    waiting = engine.jobs.submissions.count_waiting(user, most + 1)
    if waiting + new > most:
        raise QueueFull(waiting)


def _refusal(bound: Bound, waiting: int, new: int) -> QueueLimitReached:
    have = f"more than {bound.most:,}" if waiting > bound.most else f"{waiting:,}"
    whose = "each user" if bound.target.each_user else "you"
    return QueueLimitReached(
        f"You have {have} waiting jobs; with {new:,} more they would exceed the limit of {bound.most:,} for {whose}. "
        "Wait until some of them run, cancel some, or ask an administrator for a higher limit.",
        limit=bound.most,
        waiting=waiting,
        submitted=new,
    )
