"""What asking for places costs, on a real mongod with a flood of one user beside two hundred others."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from store_engine import KBase, make_engine, person

from execution_engine.core.clock import from_ms, now
from execution_engine.dispatch.queue_book import QueueBook
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.queue.overview import find_queue
from execution_engine.jobs.queue.places import find_places
from execution_engine.store.database import connect
from execution_engine.store.queues import QueueStore
from execution_engine.store.schema import prepare

FLOOD, OTHERS, INSIDE, RUNNING, ENDED = 10_000, 200, 8, 8, 3_000
WAITING = FLOOD + OTHERS
START = 1_800_000_000_000


def job(n: int, user: str, status: str, **more: Any) -> dict[str, Any]:
    active = status not in ("completed", "error")
    return {
        "_id": ObjectId(),
        "user": user,
        "method": "m.f",
        "status": status,
        "active": active,
        "claimed": status in ("queued", "running"),
        "client_group": "local",
        "created": from_ms(START + n // 100),
        "history": [],
        **more,
    }


def jobs() -> Iterator[dict[str, Any]]:
    for n in range(ENDED):
        yield job(n, "carol", "completed", finished=from_ms(START + n))
    for n in range(RUNNING + INSIDE):
        status = "running" if n < RUNNING else "queued"
        yield job(n, "alice", status, backend="local", backend_id=str(n), attempt={"n": 1})
    for n in range(FLOOD):
        yield job(n, "alice", "created", attempt={"n": 0})
    for n in range(OTHERS):
        yield job(FLOOD * 2 + n * 100, f"user{n}", "created", attempt={"n": 0})


@pytest.fixture(scope="module")
def seeded(mongod_url: str) -> Iterator[Database[Any]]:
    database = connect(mongod_url, "ee_queues")
    prepare(database)
    database.jobs.insert_many(jobs())
    yield database
    database.client.drop_database(database.name)
    database.client.close()


def profiled(database: Database[Any], call: Callable[[], Any]) -> tuple[Any, list[Any]]:
    """The call's answer, and how mongod found what it asked for among the jobs."""
    database.command("profile", 2)
    try:
        answer = call()
    finally:
        database.command("profile", 0)
    reading = {"ns": f"{database.name}.jobs", "op": {"$in": ["query", "command", "getmore"]}}
    entries = list(database["system.profile"].find(reading))
    database["system.profile"].drop()
    return answer, entries


LOOKS: dict[str, tuple[Callable[[QueueStore], Any], int, int]] = {
    # the look, most index keys and most documents that it may read
    "waiting": (lambda store: store.waiting("local"), WAITING + 1, 0),
    "a user's": (lambda store: store.waiting_ids("local", "alice", FLOOD), FLOOD + 1, 0),
    "a small user's": (lambda store: store.waiting_ids("local", "user7", FLOOD), 2, 0),
    "one job's": (lambda store: store.waiting_ids("local", "alice", 1, skip=5_000), 5_001, 0),
    "inside": (lambda store: store.inside(), RUNNING + INSIDE + 1, INSIDE),
}


@pytest.mark.parametrize("name", LOOKS)
def test_each_look_reads_an_index_alone_and_what_it_needs_of_it(seeded: Database[Any], name: str) -> None:
    look, keys, documents = LOOKS[name]
    _, entries = profiled(seeded, lambda: look(QueueStore(seeded)))
    assert entries
    assert sum(entry["keysExamined"] for entry in entries) <= keys
    assert sum(entry["docsExamined"] for entry in entries) <= documents


def engine_of(database: Database[Any]) -> Engine:
    return make_engine(database, KBase())


def test_many_who_ask_at_once_share_one_look(seeded: Database[Any]) -> None:
    engine = engine_of(seeded)
    waiting = list(seeded.jobs.find({"status": "created", "user": "alice"}).limit(40))
    with ThreadPoolExecutor(20) as pool:
        places, entries = profiled(
            seeded, lambda: list(pool.map(lambda it: find_places(engine, [it])[it["_id"]], waiting))
        )
    assert min(place.position for place in places) > INSIDE + OTHERS
    by_one = 4  # what is in flight, what is inside, what waits, the user's own
    # Those who come while the first look is under way wait for it; it is believed for a second at least.
    assert len([entry for entry in entries if entry["op"] != "getmore"]) == by_one


def test_the_places_of_everybody(seeded: Database[Any]) -> None:
    engine = engine_of(seeded)
    small = list(seeded.jobs.find({"status": "created", "user": {"$ne": "alice"}}))
    places = find_places(engine, small)
    assert sorted(place.position for place in places.values()) == list(range(INSIDE + 1, INSIDE + OTHERS + 1))
    last = seeded.jobs.find_one({"status": "created", "user": "alice"}, sort=[("created", -1), ("_id", -1)])
    assert last is not None
    assert find_places(engine, [last])[last["_id"]].position == WAITING + INSIDE
    found = find_queue(engine, person("root", Admin.FULL), "local")
    assert (found.waiting, found.inside, found.running, found.users) == (WAITING, INSIDE, RUNNING, OTHERS + 1)
    assert found.people is not None
    assert found.people[0] == {"user": "alice", "waiting": FLOOD, "held": 0, "inside": INSIDE, "running": RUNNING}


def test_the_dispatcher_notes_every_part_of_a_long_queue(seeded: Database[Any]) -> None:
    engine = engine_of(seeded)
    QueueBook(engine).note_waits(now())
    noted = engine.queues.store.get("local")["notes"]
    assert sorted(note["position"].bit_length() for note in noted) == list(range(1, WAITING.bit_length() + 1))
    for note in noted:
        found = seeded.jobs.find_one({"_id": note["job"]})
        assert found is not None
        assert find_places(engine, [found])[note["job"]].position == note["position"]
