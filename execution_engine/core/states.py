"""The seven states of a job, and which may follow which."""

from enum import StrEnum


class Status(StrEnum):
    """Where a job is in its life; the values are the words of the API."""

    CREATED = "created"
    ESTIMATING = "estimating"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    ERROR = "error"
    TERMINATED = "terminated"


FINAL = frozenset({Status.COMPLETED, Status.ERROR, Status.TERMINATED})
ACTIVE = tuple(status for status in Status if status not in FINAL)
NOT_STARTED = (Status.CREATED, Status.ESTIMATING, Status.QUEUED)

FOLLOWS: dict[Status, frozenset[Status]] = {
    Status.CREATED: frozenset({Status.ESTIMATING, Status.QUEUED, Status.RUNNING, Status.ERROR, Status.TERMINATED}),
    Status.ESTIMATING: frozenset({Status.CREATED, Status.QUEUED, Status.RUNNING, Status.ERROR, Status.TERMINATED}),
    # Back to created: the backend lost the attempt before it began, so the job is handed out again.
    Status.QUEUED: frozenset({Status.CREATED, Status.RUNNING, Status.ERROR, Status.TERMINATED}),
    # Back to created: the machine or the batch system took the attempt away, and nothing of it runs any more.
    Status.RUNNING: frozenset({Status.CREATED, Status.COMPLETED, Status.ERROR, Status.TERMINATED}),
    Status.COMPLETED: frozenset(),
    Status.ERROR: frozenset(),
    Status.TERMINATED: frozenset(),
}


def derive_batch_status(counts: dict[str, int]) -> Status:
    """A batch's status from the number of its jobs in each.

    While any job is active, the furthest of the active states; then error before terminated before completed, so that a
    batch shows what needs a look. A batch without jobs has completed.
    """
    for status in (Status.RUNNING, Status.QUEUED, Status.ESTIMATING, Status.CREATED):
        if counts.get(status):
            return status
    for status in (Status.ERROR, Status.TERMINATED):
        if counts.get(status):
            return status
    return Status.COMPLETED
