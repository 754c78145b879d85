"""The engine's jobs in Slurm's queue, and how many of all people's are ahead of each."""

from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import parse_qs, urlencode

from execution_engine.backends.base import QueueEntry, SightingState, Submission, is_tag
from execution_engine.backends.slurm.session import JobRow
from execution_engine.backends.slurm.states import is_alive, sighting

_GROUP, _USER = "client_group", "user"


def comment(job: Submission) -> str:
    """What is written beside the job, for people and for :func:`entries`: in URL encoding, so ASCII without blanks."""
    return urlencode({_GROUP: job.client_group, _USER: job.user})


def backend_id(row: JobRow) -> str:
    """Slurm's number and the tag: after a crash of the controller a number may be given to a second job."""
    return f"{row.id}:{row.name}"


def entries(own: Iterable[JobRow], waiting: Iterable[JobRow]) -> list[QueueEntry]:
    """Those that wait by position, then the others. A position is one in the job's partition, among all people's."""
    positions = _positions(waiting)
    found = [_entry(row, positions.get(row.id)) for row in own if is_tag(row.name) and is_alive(row)]
    return sorted(found, key=lambda entry: (entry.position is None, entry.position or 0))


def _positions(waiting: Iterable[JobRow]) -> dict[int, int]:
    """By Slurm's number, as the scheduler goes through a partition's queue; jobs that are held have none."""
    queues: defaultdict[str, list[JobRow]] = defaultdict(list)
    for row in waiting:
        if sighting(row).state is SightingState.WAITING:
            queues[row.partition].append(row)
    ordered = (sorted(queue, key=lambda row: (-row.priority, row.id)) for queue in queues.values())
    return {row.id: position for queue in ordered for position, row in enumerate(queue, 1)}


def _entry(row: JobRow, position: int | None) -> QueueEntry:
    seen = sighting(row)
    group = parse_qs(row.comment, keep_blank_values=True).get(_GROUP, [None])[0]
    return QueueEntry(backend_id(row), row.name, group, seen.state, position, seen.reason)
