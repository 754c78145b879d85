import datetime as dt
import random

from execution_engine.core.clock import EPOCH
from execution_engine.jobs.forecast import Wait
from execution_engine.jobs.queue.notes import KEPT, OPEN, REACH, STALE, Note, answered, kept, places_to_note

SECOND = dt.timedelta(seconds=1)


def new(job: int, position: int = 1, at: dt.datetime = EPOCH) -> Note[int]:
    return Note(job, at, position)


def started(note: Note[int]) -> Note[int]:
    return answered([note], {note.job: note.at + SECOND}, {})[0]


def test_one_place_of_every_octave_is_noted() -> None:
    places = places_to_note([], 100, EPOCH, random.Random(1))
    assert [place.bit_length() for place in places] == [1, 2, 3, 4, 5, 6, 7]
    assert max(places) <= 100
    assert places_to_note([], 0, EPOCH) == []


def test_no_more_is_noted_where_half_of_the_notes_are_open() -> None:
    opened = [new(n, position=2) for n in range(OPEN)]
    assert [place.bit_length() for place in places_to_note(opened, 7, EPOCH)] == [1, 3]
    assert len(places_to_note(opened[1:], 7, EPOCH)) == 3
    later = EPOCH + STALE + SECOND
    assert len(places_to_note(opened, 7, later)) == 3, "what is open may be stuck"


def test_the_last_notes_of_an_octave_are_kept_whatever_became_of_them() -> None:
    slow = new(0, position=4)
    quick = [started(new(n, position=5, at=EPOCH + n * SECOND)) for n in range(1, KEPT)]
    assert kept([slow, *quick], EPOCH + KEPT * SECOND) == [slow, *quick]
    another = new(KEPT, position=6, at=EPOCH + KEPT * SECOND)
    other_octave = new(KEPT + 1, position=8)
    assert kept([slow, *quick, another, other_octave], EPOCH + KEPT * SECOND) == [other_octave, *quick, another]


def test_old_notes_are_dropped() -> None:
    assert kept([new(1)], EPOCH + REACH) == []


def test_what_a_note_says() -> None:
    waiting, begun, cancelled = answered([new(1), new(2), new(3)], {2: EPOCH + 5 * SECOND}, {3: EPOCH + 7 * SECOND})
    at = EPOCH + 9 * SECOND
    assert waiting.wait(at) == Wait(1, 9, started=False)
    assert begun.wait(at) == Wait(1, 5, started=True)
    assert cancelled.wait(at) == Wait(1, 7, started=False)
    assert answered([begun], {}, {2: at}) == [begun], "what is known stays"
