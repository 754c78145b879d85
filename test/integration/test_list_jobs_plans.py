"""Every way of asking list_jobs, and what MongoDB's profiler says that it did for it."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from brute_list import BASE, MINUTE, Document, make_job
from bson import ObjectId
from store_engine import KBase, make_engine, person

from execution_engine.core.clock import to_ms
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.listing import list_jobs, merge, page, walk
from execution_engine.store.database import connect
from execution_engine.store.indexes import INDEXES
from execution_engine.store.recent_fold import RecentFold
from execution_engine.store.schema import prepare

JOBS, WORKSPACES, MINUTES = 20_000, 400, 10_000
OWN_FIRST, OWN_WORKSPACES, OWN_JOBS = 1_001, 300, 20  # nearly all are olivia's
MAX_KEYS, WINDOW = 2_000, 200  # small, so that the bounds are met

SCOPES: dict[str, Document] = {
    "mine": {"scope": "mine"},
    "shared, few": {"scope": "shared"},
    "shared, many": {"scope": "shared"},
    "workspace": {"scope": "workspace", "wsid": 7},
    "workspaces": {"scope": "workspace", "wsids": list(range(1, 301))},
    "all": {"scope": "all"},
}
FILTERS: dict[str, Document] = {
    "nothing": {},
    "a status": {"status": ["error"]},
    "a rare status": {"status": ["estimating"]},
    "two statuses": {"status": ["queued", "running"]},
    "user": {"user": "bob"},
    "client group": {"client_group": "bigmem"},
    "backend": {"backend": "slurm"},
    "method": {"method": "m.two"},
    "app": {"app_id": "kb_a/two"},
    "app prefix": {"app": "kb_a/"},
    "words": {"words": "megahit disk"},
    "rare words": {"words": "unheard"},
    "job": {"job_id": f"{int(BASE.timestamp()) + 60:08x}"},
    "created": {"created_from": to_ms(BASE + 100 * MINUTE), "created_to": to_ms(BASE + 5_000 * MINUTE)},
    "finished": {"finished_from": to_ms(BASE + 100 * MINUTE), "finished_to": to_ms(BASE + 5_000 * MINUTE)},
    "a status and an app": {"status": ["error"], "app_id": "kb_ab/one"},
}
ORDERS = [{"sort": sort, "order": order} for sort in ("created", "finished") for order in ("desc", "asc")]


@dataclass
class Profiled:
    """What the database was asked for one page."""

    operations: list[Document]

    @property
    def keys(self) -> int:
        return sum(operation.get("keysExamined", 0) for operation in self.operations)


class Profiler:
    """MongoDB's own notes on each operation."""

    def __init__(self, engine: Engine) -> None:
        self._database = engine.database

    def __enter__(self) -> Profiled:
        self._database.drop_collection("system.profile")
        self._database.create_collection("system.profile", capped=True, size=16 * 2**20)
        self._database.command("profile", 2)
        self._found = Profiled([])
        return self._found

    def __exit__(self, *_: object) -> None:
        self._database.command("profile", 0)
        ours = {"$in": [f"{self._database.name}.{name}" for name in ("jobs", "ws_recent")]}
        self._found.operations += self._database["system.profile"].find({"ns": ours})


@pytest.fixture(scope="module")
def engine(mongod_url: str) -> Iterator[Engine]:
    database = connect(mongod_url, "ee_plans")
    rng = random.Random(1)
    jobs = [make_job(rng, WORKSPACES, (0, MINUTES)) for _ in range(JOBS)]
    for job in rng.sample(jobs, 20):
        job["status"] = "estimating"
        job.pop("finished", None)
    for n in range(OWN_WORKSPACES * OWN_JOBS):
        job = make_job(rng, WORKSPACES, (0, MINUTES))
        job |= {"wsid": OWN_FIRST + n % OWN_WORKSPACES, "user": "olivia" if n >= OWN_WORKSPACES else "bob"}
        job.pop("shared_with", None)
        jobs.append(job)
    database.jobs.insert_many(jobs)
    prepare(database)
    engine = make_engine(database, KBase())
    fold = RecentFold(database)
    while fold.step(BASE + (MINUTES - 60) * MINUTE):
        pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "MAX_KEYS", MAX_KEYS)
        patch.setattr(walk, "FIRST_WINDOW", WINDOW)
        patch.setattr(merge, "_PROBE_KEYS", WINDOW // 4)
        patch.setattr(merge, "_WALK_KEYS", WINDOW)
        yield engine
    database.client.drop_database(database.name)
    database.client.close()


def readable(engine: Engine, count: int) -> None:
    kbase: Any = engine.permissions
    kbase.workspaces = {wsid: {"alice": "r"} for wsid in range(1, count + 1)}


@pytest.mark.parametrize(
    ("scope", "filters"),
    # In one's own list there is no choice of whose jobs they are.
    [pair for pair in product(SCOPES, FILTERS) if pair != ("mine", "user")],
)
def test_pages_are_read_by_an_index_in_order_within_the_bound(engine: Engine, scope: str, filters: str) -> None:
    readable(engine, 10 if scope == "shared, few" else 300)
    reader = person("alice", Admin.READ if scope == "all" else Admin.NONE)
    for order in ORDERS:
        params = {**SCOPES[scope], **FILTERS[filters], **order}
        for _ in range(2):
            with Profiler(engine) as profiled:
                found = list_jobs(engine, reader, params, frozenset())
            assert profiled.operations, "the profiler was on"
            for operation in profiled.operations:
                plan = operation.get("planSummary", "")
                assert "COLLSCAN" not in plan, (params, operation)
                assert not operation.get("hasSortStage"), (params, operation)
                assert operation.get("keysExamined", 0) <= MAX_KEYS + 1_000, (params, operation)
            # Each window is read twice: for its end, and for what matches; some workspaces end within theirs;
            # where jobs of the page are hidden, what is missing is read once more.
            assert profiled.keys <= 6 * MAX_KEYS, (params, profiled.operations)
            if found.cursor is None:
                break
            params["cursor"] = found.cursor


@pytest.mark.parametrize(
    ("scope", "filters", "index"),
    [
        ("mine", "nothing", "user_created"),
        ("mine", "a status", "user_status_created"),
        ("mine", "words", "user_status_created"),
        ("mine", "app prefix", "user_app_created"),
        ("mine", "method", "user_method_created"),
        ("workspace", "two statuses", "wsid_status_created"),
        ("workspaces", "nothing", "created"),
        ("shared, many", "a status", "status_created"),
        ("shared, many", "user", "user_created"),
        ("shared, few", "nothing", "sharee_created"),
        ("shared, few", "user", "sharee_created"),
        ("all", "words", "tok_created"),
        ("all", "client group", "group_created"),
    ],
)
def test_a_page_that_fills_up_costs_about_what_it_shows(engine: Engine, scope: str, filters: str, index: str) -> None:
    readable(engine, 300)
    reader = person("alice", Admin.READ)
    with Profiler(engine) as profiled:
        found = list_jobs(engine, reader, {**SCOPES[scope], **FILTERS[filters], "limit": 10}, frozenset())
    assert len(found.found) == 10
    assert index in {operation["command"].get("hint") for operation in profiled.operations}
    # Jobs shared by name are a list of their own, with windows of its own.
    assert profiled.keys <= (12 if scope.startswith("shared") else 8) * WINDOW, profiled.operations


def test_a_search_that_finds_nothing_stops_and_goes_on(engine: Engine) -> None:
    params: Document = {"scope": "all", "backend": "none"}
    pages = 0
    while True:
        found = list_jobs(engine, person("ruth", Admin.READ), params, frozenset())
        pages += 1
        assert not found.found
        if found.cursor is None:
            break
        assert found.incomplete
        params["cursor"] = found.cursor
    all_jobs = JOBS + OWN_WORKSPACES * OWN_JOBS
    assert all_jobs // MAX_KEYS <= pages <= all_jobs // MAX_KEYS + 1


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order['sort']} {order['order']}")
@pytest.mark.parametrize("filters", ["nothing", "created"])
def test_the_few_jobs_of_others_are_found_among_ones_own(engine: Engine, filters: str, order: Document) -> None:
    kbase: Any = engine.permissions
    kbase.workspaces = {wsid: {"olivia": "a"} for wsid in range(OWN_FIRST, OWN_FIRST + OWN_WORKSPACES)}
    params = {"scope": "shared", **FILTERS[filters], **order}
    with Profiler(engine) as profiled:
        found = list_jobs(engine, person("olivia"), params, frozenset())
    assert len(found.found) == 50
    assert {item.record["user"] for item in found.found} == {"bob"}
    of_jobs = sum(operation.get("keysExamined", 0) for operation in profiled.operations if "jobs" in operation["ns"])
    assert of_jobs <= 2 * WINDOW + 8 * 50, profiled.operations


def test_every_index_for_lists_serves_one(engine: Engine) -> None:
    used = set()
    for workspaces, scope, filters in itertools.product((10, 300), SCOPES, FILTERS):
        readable(engine, workspaces)
        if scope == "mine" and filters == "user":
            continue
        for order in ORDERS[::2]:
            with Profiler(engine) as profiled:
                list_jobs(
                    engine, person("alice", Admin.READ), {**SCOPES[scope], **FILTERS[filters], **order}, frozenset()
                )
            used |= {operation["command"].get("hint") for operation in profiled.operations}
    lists = {index.name for index in INDEXES if index.collection == "jobs" and index.serves.startswith("list")}
    assert lists - used == set()


def test_the_profiler_would_notice(engine: Engine) -> None:
    with Profiler(engine) as profiled:
        list(engine.database.jobs.find({"backend_id": ObjectId()}).sort("updated", 1))
    assert any("COLLSCAN" in operation["planSummary"] for operation in profiled.operations)
    assert any(operation.get("hasSortStage") for operation in profiled.operations)
