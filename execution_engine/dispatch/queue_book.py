"""What only the dispatcher sees of the queues, written down for the processes that answer people."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from bson import ObjectId

from execution_engine.core.states import FINAL
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.queue.look import Queue
from execution_engine.jobs.queue.notes import Note, answered, kept, notes_of, places_to_note, stored
from execution_engine.jobs.queue.order import job_at
from execution_engine.store.database import Document

_FATE = dict.fromkeys(("status", "running", "finished"), 1)


class QueueBook:
    """Who had a turn lately in each client group, and how long it takes jobs at various places to start."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._served: dict[str, list[str]] = {}

    def tell_served(self, served: Mapping[str, Sequence[str]]) -> None:
        """Write down who had a turn, by group, the latest last; nothing, if that is what was written last."""
        for group, users in served.items():
            if self._served.get(group) != users:
                self._engine.queues.store.put_served(group, users)
                self._served[group] = list(users)

    def note_waits(self, at: dt.datetime) -> None:
        """Note what became of the jobs that were noted earlier, and where some others stand."""
        for group in self._engine.settings.client_groups:
            held: list[Note[ObjectId]] = notes_of(self._engine.queues.store.get(group))
            queue = self._engine.queues.read(group)
            notes = self._answered(held, at)
            positions = places_to_note(notes, len(queue.inside) + queue.ready, at)
            notes = kept([*notes, *self._new(group, queue, positions)], at)
            if notes != held:
                self._engine.queues.store.put_notes(group, stored(notes))

    def _answered(self, notes: Iterable[Note[ObjectId]], at: dt.datetime) -> list[Note[ObjectId]]:
        notes = list(notes)
        waiting = {note.job: note.at for note in notes if note.until is None}
        if not waiting:
            return notes
        jobs = self._engine.jobs.get_many(waiting, _FATE)
        started = {job_id: job["running"] for job_id, job in jobs.items() if _ran(job, waiting[job_id])}
        gone = {job_id: job["finished"] for job_id, job in jobs.items() if job["status"] in FINAL}
        gone |= {job_id: at for job_id in waiting if job_id not in jobs}
        return answered(notes, started, gone)

    def _new(self, group: str, queue: Queue, positions: Iterable[int]) -> Iterable[Note[ObjectId]]:
        for position in positions:
            here = position - 1 - len(queue.inside)
            if here < 0:
                yield Note(queue.inside[position - 1].job_id, queue.at, position)
            else:
                user, n = job_at(queue.standings, here)
                found = self._engine.queues.store.waiting_ids(group, user, 1, skip=n - 1)
                yield from (Note(job_id, queue.at, position) for job_id in found)


def _ran(job: Document, since: dt.datetime) -> bool:
    return "running" in job and job["running"] >= since
