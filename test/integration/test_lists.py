import itertools
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from store_engine import KBase, make_engine, person

from execution_engine.core.clock import from_ms
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.listing import list_jobs
from execution_engine.store.database import connect
from execution_engine.store.jobs import JobStore
from execution_engine.store.schema import prepare

JOBS = 6_000
START = 1_800_000_000_000
USERS = ["alice", "bob", "carol", "dave"]
METHODS = ["m.common", "m.rare"]
STATUSES = ["created", "queued", "running", "completed", "error", "terminated"]
LIMIT = 50
ALICE = person("alice")
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
        made["wsid"] = chance.choice([7, 7, 8])
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


class Explained(JobStore):
    """Notes how each page is found."""

    def __init__(self, database: Database[Any]) -> None:
        super().__init__(database)
        self.plans: list[Any] = []

    def page(self, query: Any, index: str, sort: Any, limit: int) -> list[dict[str, Any]]:
        found = self._jobs.find(query).hint(index).sort(sort).limit(limit)
        self.plans.append(found.explain())
        return super().page(query, index, sort, limit)


def engine_of(database: Database[Any], jobs: JobStore | None = None) -> Engine:
    letters = dict.fromkeys(USERS, "w")
    engine = make_engine(database, KBase(workspaces={7: letters, 8: letters}))
    return replace(engine, jobs=jobs) if jobs else engine


def stages(plan: Any) -> list[str]:
    """The names of a plan's stages, from the outermost."""
    below = [plan[name] for name in ("inputStage", "outerStage", "innerStage") if name in plan]
    below += plan.get("inputStages", [])
    return [plan["stage"], *itertools.chain.from_iterable(stages(stage) for stage in below)]


SCOPES: list[dict[str, Any]] = [{}, {"wsid": 7}]
FILTERS: list[dict[str, Any]] = [
    {},
    {"status": ["error"]},
    {"status": ["created", "queued", "running"]},
    {"status": STATUSES},
    {"method": "m.common"},
    {"method": "m.rare", "status": ["error"]},
    {"app_id": "m/common"},
    {"app_id": "m/rare", "method": "m.rare"},
    {"created_from": START + 300_000, "created_to": START + 1_200_000},
    {"status": ["error"], "created_from": START + 300_000},
    {"finished_from": START + 300_000},
]
ORDERS = [{"sort": sort, "order": order} for sort in ("created", "finished") for order in ("asc", "desc")]


def is_exact(asked: dict[str, Any]) -> bool:
    """Whether an index has all of the filter, so that nothing is read in vain."""
    filters = {name for name in asked if name in ("status", "method", "app_id", "finished_from")}
    if asked["sort"] == "finished":
        return not {"status", "method", "app_id", "created_from"} & asked.keys()
    if "wsid" in asked:
        return filters <= {"status"}
    return len(filters) <= 1 and "finished_from" not in filters


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order['sort']}-{order['order']}")
@pytest.mark.parametrize("filters", FILTERS, ids=lambda filters: "+".join(filters) or "all")
@pytest.mark.parametrize("scope", SCOPES, ids=["mine", "workspace"])
def test_every_page_of_every_list_walks_an_index(
    seeded: Database[Any], scope: dict[str, Any], filters: dict[str, Any], order: dict[str, Any]
) -> None:
    asked = {**scope, **filters, **order, "limit": LIMIT}
    jobs = Explained(seeded)
    engine = engine_of(seeded, jobs)
    cursor = None
    for _ in range(4):
        _, cursor = list_jobs(engine, ALICE, asked | ({"cursor": cursor} if cursor else {}), NOTHING)
        if cursor is None:
            break
    field = {"wsid": 7} if scope else {"user": "alice"}
    in_scope = seeded.jobs.count_documents(field)
    for plan in jobs.plans:
        found = stages(plan["queryPlanner"]["winningPlan"])
        assert not {"COLLSCAN", "SORT"} & set(found), found
        keys = plan["executionStats"]["totalKeysExamined"]
        returned = plan["executionStats"]["nReturned"]
        # Beside what is returned: the end of each range that is walked, and jobs of the cursor's own time.
        assert keys <= (returned + 2 * len(STATUSES) + 10 if is_exact(asked) else in_scope + 10)


def expected(jobs: list[dict[str, Any]], asked: dict[str, Any]) -> list[ObjectId]:
    """The list, filtered and sorted here."""
    field, value = ("wsid", 7) if "wsid" in asked else ("user", "alice")

    def wanted(it: dict[str, Any]) -> bool:
        created, ended = it["created"], it.get("finished")
        return (
            it.get(field) == value
            and it["status"] in asked.get("status", STATUSES)
            and asked.get("method") in (None, it["method"])
            and asked.get("app_id") in (None, it.get("app_id"))
            and ("created_from" not in asked or created >= from_ms(asked["created_from"]))
            and ("created_to" not in asked or created < from_ms(asked["created_to"]))
            and ("finished_from" not in asked or (ended is not None and ended >= from_ms(asked["finished_from"])))
            and (asked["sort"] == "created" or ended is not None)
        )

    found = sorted(filter(wanted, jobs), key=lambda it: (it[asked["sort"]], it["_id"]))
    return [it["_id"] for it in (found if asked["order"] == "asc" else reversed(found))]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order['sort']}-{order['order']}")
@pytest.mark.parametrize("scope", SCOPES, ids=["mine", "workspace"])
def test_the_pages_of_every_list_are_the_whole_list(
    seeded: Database[Any], scope: dict[str, Any], order: dict[str, Any]
) -> None:
    engine = engine_of(seeded)
    jobs = list(seeded.jobs.find())
    for filters in FILTERS:
        asked = {**scope, **filters, **order}
        assert list(walk(engine, **asked, limit=97)) == expected(jobs, asked)


def walk(engine: Engine, **asked: Any) -> Iterator[ObjectId]:
    while True:
        page, cursor = list_jobs(engine, ALICE, asked, NOTHING)
        yield from [found.record["_id"] for found in page]
        if cursor is None:
            return
        asked["cursor"] = cursor


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
        shown = []
        for job_id in walk(engine_of(real_database), order=order, limit=7):
            shown.append(job_id)
            if len(shown) > 1_500:  # oldest first, the end may run away
                break
    finally:
        enough.set()
        newcomers.join()
    assert len(shown) == len(set(shown))
    assert {it["_id"] for it in old} <= set(shown)


DISPATCH = {
    "any_waiting": lambda store: store.any_waiting(),
    "queue_heads": lambda store: store.queue_heads("local"),
    "waiting_of": lambda store: store.waiting_of("local", "alice", 10),
    "in_flight": lambda store: store.in_flight(),
    "ended_with_work_left": lambda store: store.ended_with_work_left(10),
    "batch_job_ids": lambda store: store.batch_job_ids(ObjectId()),
    "batch_counts": lambda store: store.batch_counts([ObjectId()]),
    "retries_of": lambda store: store.retries_of([ObjectId()]),
    "submitted_before": lambda store: store.submitted_before("alice", "key"),
}


@pytest.mark.parametrize("name", DISPATCH)
def test_no_other_look_up_reads_all_jobs(seeded: Database[Any], name: str) -> None:
    seeded.command("profile", 2)
    try:
        DISPATCH[name](JobStore(seeded))
        (entry,) = seeded["system.profile"].find({"ns": f"{seeded.name}.jobs", "op": {"$in": ["query", "command"]}})
    finally:
        seeded.command("profile", 0)
        seeded["system.profile"].drop()
    assert "COLLSCAN" not in entry["planSummary"]
    # Each waiting user costs one seek, each job in flight one key.
    assert entry["keysExamined"] < JOBS / 2
