import itertools
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from store_engine import KBase, make_engine, person

from execution_engine.core.clock import from_ms
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.listing import list_jobs
from execution_engine.store.database import connect
from execution_engine.store.jobs import JobStore
from execution_engine.store.schema import prepare

JOBS = 6_000
START = 1_800_000_000_000
USERS = ["alice", "bob", "carol", "dave"]
WORKSPACES = 30
METHODS = ["m.common", "m.rare"]
STATUSES = ["created", "queued", "running", "completed", "error", "terminated"]
LIMIT = 50
ALICE = person("alice", Admin.READ)
NOTHING: frozenset[str] = frozenset()


def job(n: int, chance: random.Random) -> dict[str, Any]:
    status = chance.choice(STATUSES)
    created = START + n // 4 * 1_000  # some at the same time
    made: dict[str, Any] = {
        "_id": ObjectId(),
        "user": chance.choice(USERS),
        "method": METHODS[chance.random() < 0.05],
        "status": status,
        "active": status in ("created", "queued", "running"),
        "claimed": status in ("queued", "running"),
        "attempt": {"n": 0},
        "client_group": "local",
        "created": from_ms(created),
        "updated": from_ms(created),
        "history": [],
    }
    if chance.random() < 0.5:
        made["wsid"] = chance.randint(1, WORKSPACES)
    if chance.random() < 0.3:
        made["app_id"] = chance.choice(["m/common", "m/common", "m/rare"])
    if not made["active"]:
        made["finished"] = from_ms(created + chance.randint(0, 500_000))
    return made


@pytest.fixture(scope="module")
def seeded(mongod_url: str) -> Iterator[Database[Any]]:
    """Some thousand jobs of some users in some workspaces."""
    database = connect(mongod_url, "ee_lists")
    prepare(database)
    chance = random.Random(5)
    database.jobs.insert_many([job(n, chance) for n in range(JOBS)])
    yield database
    database.client.drop_database(database.name)
    database.client.close()


def engine_of(database: Database[Any]) -> Engine:
    everybody = dict.fromkeys(USERS, "w")
    return make_engine(database, KBase(workspaces=dict.fromkeys(range(1, WORKSPACES + 1), everybody)))


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


SCOPES: dict[str, dict[str, Any]] = {"mine": {"scope": "mine"}, "workspace": {"wsid": 7}, "all": {"scope": "all"}}
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "status": {"status": ["error"]},
    "active": {"status": ["created", "queued", "running"]},
    "method": {"method": "m.common"},
    "app": {"app_id": "m/common"},
    "created": {"created_from": START + 300_000, "created_to": START + 1_200_000},
    "status and created": {"status": ["error"], "created_from": START + 300_000},
    "finished": {"finished_from": START + 300_000},
}
# What an index has as a whole, in the order of the list.
EXACT = {
    ("mine", "created"): ("none", "status", "active", "method", "app", "created", "status and created"),
    ("workspace", "created"): ("none", "status", "active", "created", "status and created"),
    ("all", "created"): ("none", "status", "active", "method", "app", "created", "status and created"),
    ("mine", "finished"): ("none", "finished"),
    ("workspace", "finished"): ("none", "finished"),
    ("all", "finished"): ("none", "finished"),
}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    ("scope", "sort", "filters"), [(*list_, filters) for list_, served in EXACT.items() for filters in served]
)
def test_a_page_that_an_index_has_as_a_whole_costs_what_it_shows(
    seeded: Database[Any], scope: str, sort: str, filters: str, order: str
) -> None:
    params = {**SCOPES[scope], **FILTERS[filters], "sort": sort, "order": order, "limit": LIMIT}
    engine = engine_of(seeded)
    for _ in range(3):
        page, entries = profiled(seeded, lambda: list_jobs(engine, ALICE, params, NOTHING))
        assert page.found
        # Beside what is shown: the end of each range that is walked, and jobs of the cursor's own time.
        assert sum(entry["keysExamined"] for entry in entries) <= LIMIT + 2 * len(STATUSES) + 10
        if page.cursor is None:
            break
        params["cursor"] = page.cursor


def walk(engine: Engine, **params: Any) -> Iterator[ObjectId]:
    while True:
        page = list_jobs(engine, ALICE, params, NOTHING)
        yield from [found.record["_id"] for found in page.found]
        if page.cursor is None:
            return
        params["cursor"] = page.cursor


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_while_jobs_come_in_none_is_shown_twice_and_none_is_missed(real_database: Database[Any], order: str) -> None:
    chance = random.Random(3)
    old = [job(n, chance) | {"user": "alice"} for n in range(400)]
    real_database.jobs.insert_many(old)
    enough = threading.Event()

    def come_in() -> None:
        for n in itertools.count(398):  # the first ones at the same time as the last ones that are there
            if enough.is_set():
                return
            real_database.jobs.insert_one(job(n, chance) | {"user": "alice"})

    newcomers = threading.Thread(target=come_in)
    newcomers.start()
    try:
        # Oldest first, the end may run away.
        shown = list(itertools.islice(walk(engine_of(real_database), order=order, limit=7), 1_500))
    finally:
        enough.set()
        newcomers.join()
    assert len(shown) == len(set(shown))
    assert {it["_id"] for it in old} <= set(shown)


LOOK_UPS: dict[str, Callable[[JobStore], Any]] = {
    "any_waiting": lambda store: store.any_waiting(),
    "queue_heads": lambda store: store.queue_heads("local"),
    "waiting_of": lambda store: store.waiting_of("local", "alice", 10),
    "in_flight": lambda store: store.in_flight(),
    "in_flight_counts": lambda store: store.in_flight_counts(),
    "ended_lately": lambda store: store.ended_lately(),
    "ended_with_work_left": lambda store: store.ended_with_work_left(10),
    "any_untold": lambda store: store.any_untold(),
    "take_untold": lambda store: store.take_untold(),
    "batch_job_ids": lambda store: store.batch_job_ids(ObjectId()),
    "batch_counts": lambda store: store.batch_counts([ObjectId()]),
    "retries_of": lambda store: store.retries_of([ObjectId()]),
    "submitted_before": lambda store: store.submitted_before("alice", "key"),
}


@pytest.mark.parametrize("name", LOOK_UPS)
def test_no_other_look_up_reads_all_jobs(seeded: Database[Any], name: str) -> None:
    _, entries = profiled(seeded, lambda: LOOK_UPS[name](JobStore(seeded)))
    assert all("COLLSCAN" not in entry["planSummary"] for entry in entries)
    # Each waiting user costs a seek, each job in flight a key.
    assert 0 <= sum(entry["keysExamined"] for entry in entries) < 0.8 * JOBS
    assert entries
