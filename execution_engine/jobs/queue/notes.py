"""Notes of where jobs stood and how long it was until they started: a site's recent history, for its forecasts.

Places are ranked by octaves (1, 2 to 3, 4 to 7, …), so that the front of a queue and the far end of a flood both have a
history, however many jobs there are. Of each octave the last notes are kept, and a new one is made while most of them
are answered: a queue that moves in seconds is noted every few seconds, one that moves in days as seldom. What is
dropped is always the oldest, whatever became of it, or slow jobs would outweigh quick ones.
"""

import datetime as dt
import random
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic, TypeVar

from execution_engine.jobs.forecast import Wait
from execution_engine.store.database import Document

KEPT = 60
OPEN = KEPT // 2
STALE = dt.timedelta(minutes=10)
"""After so long without a new note one is made in any case: what is open may be stuck."""
REACH = dt.timedelta(days=14)

J = TypeVar("J")


@dataclass(frozen=True, slots=True)
class Note(Generic[J]):
    """The ``job`` stood ``at`` some time at ``position``; ``until``: when it ``started``, or was taken away."""

    job: J
    at: dt.datetime
    position: int
    until: dt.datetime | None = None
    started: bool = False

    @property
    def octave(self) -> int:
        """Of the position."""
        return self.position.bit_length()

    def wait(self, now: dt.datetime) -> Wait:
        """What is known by now."""
        return Wait(self.position, ((self.until or now) - self.at).total_seconds(), self.started)


def notes_of(record: Document) -> list[Note[Any]]:
    """From a queue's record, as :func:`stored` writes them."""
    return [Note(**note) for note in record.get("notes", ())]


def stored(notes: Iterable[Note[Any]]) -> list[Document]:
    """For a queue's record."""
    return [asdict(note) for note in notes]


def places_to_note(
    notes: Iterable[Note[J]], length: int, now: dt.datetime, choose: random.Random | None = None
) -> list[int]:
    """The positions of a queue of ``length`` jobs that are to be noted now: one, at random, of an octave that lacks."""
    choose = choose or random.Random()  # noqa: S311  nobody gains by guessing it
    by_octave: dict[int, list[Note[J]]] = {}
    for note in notes:
        by_octave.setdefault(note.octave, []).append(note)
    places = []
    for octave in range(1, length.bit_length() + 1):
        held = by_octave.get(octave, [])
        answered = sum(note.until is None for note in held) < OPEN
        if answered or now - max(note.at for note in held) > STALE:
            places.append(choose.randint(1 << (octave - 1), min(length, (1 << octave) - 1)))
    return places


def kept(notes: Iterable[Note[J]], now: dt.datetime) -> list[Note[J]]:
    """The last notes of each octave, in order of time."""
    by_octave: dict[int, list[Note[J]]] = {}
    for note in sorted(notes, key=lambda note: note.at):
        if now - note.at < REACH:
            by_octave.setdefault(note.octave, []).append(note)
    return sorted((note for held in by_octave.values() for note in held[-KEPT:]), key=lambda note: note.at)


def answered(
    notes: Iterable[Note[J]], started: Mapping[J, dt.datetime], gone: Mapping[J, dt.datetime]
) -> list[Note[J]]:
    """The notes with what is known by now. ``started``, ``gone``: when jobs started, or ended without a start."""
    return [_answered(note, started, gone) if note.until is None else note for note in notes]


def _answered(note: Note[J], started: Mapping[J, dt.datetime], gone: Mapping[J, dt.datetime]) -> Note[J]:
    if note.job in started:
        return replace(note, until=max(started[note.job], note.at), started=True)
    if note.job in gone:
        return replace(note, until=max(gone[note.job], note.at))
    return note
