import datetime as dt
from typing import Any

import pytest
from bson import ObjectId
from store_engine import begin, claim, finish, hand_out, make_engine, person, record, submit

from execution_engine.api.views import place_view
from execution_engine.core.clock import now
from execution_engine.core.errors import ClientGroupNotFound
from execution_engine.dispatch.queue_book import QueueBook
from execution_engine.jobs.control import cancel
from execution_engine.jobs.draining import set_backend_state
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.forecast import LEAST, Forecast
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.lookup import PLACE, find_job
from execution_engine.jobs.queue.notes import Note, notes_of, stored
from execution_engine.jobs.queue.overview import MOST_SHOWN, find_queue
from execution_engine.jobs.queue.places import Place, find_places

ALICE, BOB, ROOT = person("alice"), person("bob"), person("root", Admin.FULL)


def fresh(engine: Engine) -> Engine:
    """The same engine in a process that has looked at nothing yet."""
    return make_engine(engine.database, engine.tokens)  # type: ignore[arg-type]


def place_of(engine: Engine, job_id: ObjectId) -> Place | None:
    return find_places(fresh(engine), [record(engine, job_id)]).get(job_id)


def numbers(engine: Engine, job_id: ObjectId) -> tuple[int, int, int, int]:
    """Position; ahead: inside, users, own."""
    place = place_of(engine, job_id)
    assert place is not None
    return place.position, place.inside, place.users, place.own


def test_a_single_job_beside_a_flood_is_among_the_next(engine: Engine) -> None:
    flood = [submit(engine) for _ in range(30)]
    for job_id in flood[:2]:
        hand_out(engine, job_id)
    single = submit(engine, "bob")
    assert numbers(engine, single) == (3, 2, 1, 0)
    assert numbers(engine, flood[2]) == (4, 2, 1, 2)
    assert numbers(engine, flood[-1]) == (31, 2, 1, 29)


def test_inside_a_backend_its_own_order_counts(engine: Engine) -> None:
    first, second = submit(engine), submit(engine, "bob")
    for job_id in (first, second):
        hand_out(engine, job_id)
    assert numbers(engine, second) == (2, 1, 1, 0)
    engine.backends.report_order("local", [record(engine, job_id)["backend_id"] for job_id in (second, first)])
    assert numbers(engine, second) == (1, 0, 0, 0)
    assert numbers(engine, first) == (2, 1, 1, 0)


def test_who_was_served_last_comes_last_among_equals(engine: Engine) -> None:
    alices, bobs = submit(engine), submit(engine, "bob")
    assert numbers(engine, bobs)[0] == 2
    QueueBook(engine).tell_served({"local": ["bob", "alice"]})
    assert (numbers(engine, bobs)[0], numbers(engine, alices)[0]) == (1, 2)


def test_a_job_that_a_backend_is_just_handed_is_inside(engine: Engine) -> None:
    job_id = submit(engine)
    claim(engine, job_id)
    assert numbers(engine, job_id) == (1, 0, 0, 0)


def test_a_job_that_came_after_the_look_is_behind_it(engine: Engine) -> None:
    for _ in range(2):
        submit(engine)
    engine.queues.read("local")
    engine.queues.own("local", "alice")
    late = record(engine, submit(engine))
    assert find_places(engine, [late])[late["_id"]].position == 3
    bobs = record(engine, submit(engine, "bob"))
    assert find_places(engine, [bobs])[bobs["_id"]].position == 2, "alice's first is older"


def test_jobs_that_have_begun_or_whose_group_was_removed_have_no_place(engine: Engine) -> None:
    job_id = submit(engine)
    begin(engine, job_id, hand_out(engine, job_id))
    assert PLACE not in find_job(fresh(engine), ALICE, job_id).details
    other = record(engine, submit(engine))
    assert find_places(engine, [other | {"client_group": "moon"}]) == {}


def test_a_limit_of_a_user_gives_the_turns_to_others(engine: Engine) -> None:
    alices = [submit(engine) for _ in range(3)]
    bobs = [submit(engine, "bob") for _ in range(3)]
    limit = {"kind": "running", "user": "alice", "value": 1}
    engine.database.limits.insert_one({"_id": "running/user=alice", **limit})
    assert numbers(engine, bobs[2])[0] == 4, "one of alice's, two of his own"
    held = place_of(engine, alices[1])
    assert held is not None
    assert "A limit holds it" in str(held.forecast)
    people = find_queue(fresh(engine), ROOT, None).people
    assert people is not None
    assert {it["user"]: (it["waiting"], it["held"]) for it in people} == {"alice": (1, 2), "bob": (3, 0)}


def history(engine: Engine, *, position: int = 1, seconds: range = range(1, 101)) -> None:
    at = now()
    notes = [
        Note(ObjectId(), at - dt.timedelta(hours=1), position, at - dt.timedelta(hours=1, seconds=-n), started=True)
        for n in seconds
    ]
    engine.queues.store.put_notes("local", stored(notes))


def test_history_says_when_a_job_may_start(engine: Engine) -> None:
    job_id = submit(engine)
    history(engine)
    place = place_of(engine, job_id)
    assert place is not None
    assert place.forecast == Forecast(7, 50, 93, 100)
    before = now()
    told = place_view(place)["forecast"]
    assert told["observed"] == 100
    assert told["median"] - told["earliest"] == 43_000
    assert 49_000 < told["median"] - before.timestamp() * 1000 < 60_000


def test_thin_history_says_how_thin_it_is(engine: Engine) -> None:
    job_id = submit(engine)
    history(engine, seconds=range(1, 8))
    place = place_of(engine, job_id)
    assert place is not None
    assert place_view(place)["no_forecast"] == (
        f"Too few jobs have started from such a place lately: 7 of the {LEAST} needed."
    )


def test_nothing_is_promised_while_no_backend_takes_jobs(engine: Engine) -> None:
    job_id = submit(engine)
    history(engine)
    set_backend_state(engine, ROOT, "local", "draining", "new disks")
    place = place_of(engine, job_id)
    assert place is not None
    assert place.forecast == "No backend takes such jobs now."


def test_what_people_see_of_a_queue(engine: Engine) -> None:
    for _ in range(MOST_SHOWN + 5):
        submit(engine)
    inside, single = submit(engine, "bob"), submit(engine, "bob")
    hand_out(engine, inside)
    found = find_queue(fresh(engine), BOB, None)
    assert (found.client_group, found.waiting, found.inside, found.running, found.users) == ("local", 26, 1, 0, 2)
    assert [job_id for job_id, _ in found.mine] == [inside, single]
    assert (found.closed, found.people) == (None, None)
    assert found.oldest
    mine = find_queue(fresh(engine), ALICE, "local").mine
    assert len(mine) == MOST_SHOWN
    assert [place.own for _, place in mine] == list(range(MOST_SHOWN))
    other = find_queue(fresh(engine), person("carol"), "local")
    assert (other.mine, other.next.position, other.next.inside) == ([], 3, 1), "bob's one inside, alice's first"
    empty = find_queue(fresh(engine), BOB, "bigmem")
    assert (empty.waiting, empty.users, empty.oldest, empty.next.position) == (0, 0, None, 1)


def test_administrators_see_whose_jobs_wait(engine: Engine) -> None:
    submit(engine)
    inside = submit(engine, "bob")
    hand_out(engine, inside)
    for admin in (Admin.READ, Admin.FULL):
        assert find_queue(fresh(engine), person("ruth", admin), None).people == [
            {"user": "alice", "waiting": 1, "held": 0, "inside": 0, "running": 0},
            {"user": "bob", "waiting": 0, "held": 0, "inside": 1, "running": 0},
        ]


def test_an_unknown_group(engine: Engine) -> None:
    with pytest.raises(ClientGroupNotFound, match="no client group 'moon'; there are bigmem, local"):
        find_queue(engine, ALICE, "moon")


def notes(engine: Engine) -> list[Note[Any]]:
    return notes_of(engine.queues.store.get("local"))


def test_the_dispatcher_notes_where_jobs_stand_and_what_becomes_of_them(engine: Engine) -> None:
    inside, here = submit(engine), submit(engine)
    ticket = hand_out(engine, inside)
    QueueBook(fresh(engine)).note_waits(now())
    assert [(note.job, note.position, note.until) for note in notes(engine)] == [(inside, 1, None), (here, 2, None)]
    credential = begin(engine, inside, ticket)["credential"]
    finish(engine, inside, credential)
    cancel(engine, ALICE, here, None)
    QueueBook(fresh(engine)).note_waits(now())
    first, second = notes(engine)
    assert (first.started, first.until) == (True, record(engine, inside)["running"])
    assert (second.started, second.until) == (False, record(engine, here)["finished"])


def test_a_job_that_was_deleted_is_gone(engine: Engine) -> None:
    job_id = submit(engine)
    QueueBook(fresh(engine)).note_waits(now())
    engine.database.jobs.delete_one({"_id": job_id})
    QueueBook(fresh(engine)).note_waits(at := now())
    (note,) = notes(engine)
    assert (note.started, note.until) == (False, at)


def test_who_had_turns_is_written_when_it_changes(engine: Engine) -> None:
    book = QueueBook(engine)
    book.tell_served({"local": ["bob"]})
    engine.queues.store.put_served("local", [])
    book.tell_served({"local": ["bob"]})
    assert engine.queues.store.get("local")["served"] == []
    book.tell_served({"local": ["bob", "alice"]})
    assert engine.queues.store.get("local")["served"] == ["bob", "alice"]
