"""Lists are compared with what looking at every job finds, with bounds so small that every way of reading is taken."""

import datetime as dt
import random
from collections.abc import Callable, Iterator
from typing import Any

import brute_list
import pytest
from brute_list import BASE, MINUTE, Document, asked, end_job, expected, make_job
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_engine import KBase, make_engine, person

from execution_engine.core.states import FINAL
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.listing import list_jobs, merge, page, walk
from execution_engine.store import recent_fold

NOTHING: frozenset[str] = frozenset()
WORKSPACES = 12


@pytest.fixture
def engine(real_database: Any, monkeypatch: pytest.MonkeyPatch) -> Engine:
    for module, name, value in (
        (merge, "FEW", 2),
        (page, "FEW", 2),
        (merge, "_PROBE_KEYS", 4),
        (merge, "_WALK_KEYS", 8),
        (merge, "_KEYS_A_WORKSPACE", 1),
        (merge, "_FIRST_SLICE", 2),
        (merge, "_SLICE", 3),
        (merge, "_BORDER_WINDOW", 3),
        (walk, "FIRST_WINDOW", 3),
        (page, "MAX_KEYS", 40),
        (recent_fold, "_CHUNK", 7),
    ):
        monkeypatch.setattr(module, name, value)
    return make_engine(real_database, KBase())


@pytest.fixture
def fresh(engine: Engine) -> Callable[[random.Random], list[Document]]:
    """Fills the emptied database: the jobs."""

    def fill(rng: random.Random) -> list[Document]:
        for name in ("jobs", "ws_recent"):
            engine.database[name].delete_many({})
        engine.permissions.workspaces = {  # type: ignore[attr-defined]
            wsid: {user: "r" for user in brute_list.USERS if rng.random() < 0.8} for wsid in range(1, WORKSPACES + 1)
        }
        jobs = [make_job(rng, WORKSPACES, (0, 30)) for _ in range(rng.randint(0, 60))]
        if jobs:
            engine.database.jobs.insert_many(jobs)
        if rng.random() < 0.9:
            folded = BASE + rng.randint(10, 40) * MINUTE
            fold_up_to(engine, folded)
            # What comes later bears a later time than the table knows of.
            known = max(0, (folded - recent_fold.MARGIN - BASE) // MINUTE + 1)
            later = [make_job(rng, WORKSPACES, (known, 45)) for _ in range(rng.randint(0, 15))]
            if later:
                engine.database.jobs.insert_many(later)
            jobs += later
        return jobs

    return fill


def fold_up_to(engine: Engine, at: dt.datetime) -> None:
    fold = recent_fold.RecentFold(engine.database)
    while fold.step(at):
        pass


def readable(engine: Engine, user: str) -> set[int]:
    return set(engine.permissions.readable_workspaces(f"{user}-token"))


def follow(engine: Engine, user: str, params: Document) -> Iterator[list[ObjectId]]:
    """The pages of a list."""
    reader = person(user, Admin.READ)
    params = dict(params)
    for _ in range(400):
        found = list_jobs(engine, reader, params, NOTHING)
        assert len(found.found) <= params["limit"]
        assert found.incomplete == (found.cursor is not None and len(found.found) < params["limit"])
        yield [item.record["_id"] for item in found.found]
        if found.cursor is None:
            return
        assert params.get("cursor") != found.cursor, "a page gets on"
        params["cursor"] = found.cursor
    raise AssertionError("the list does not end")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_pages_are_the_whole_list_in_order(engine: Engine, fresh: Any, seed: int) -> None:
    rng = random.Random(seed)
    jobs = fresh(rng)
    for user in brute_list.USERS[:2]:
        for _ in range(3):
            params = asked(rng, user, WORKSPACES)
            listed = [job_id for ids in follow(engine, user, params) for job_id in ids]
            assert listed == expected(jobs, user, readable(engine, user), params), params


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_cursors_stay_right_while_jobs_come_and_move(engine: Engine, fresh: Any, seed: int) -> None:
    rng = random.Random(seed)
    jobs = {job["_id"]: job for job in fresh(rng)}
    user = "alice"
    params = asked(rng, user, WORKSPACES)
    before = expected(jobs.values(), user, readable(engine, user), params)
    touched: set[ObjectId] = set()
    listed: list[ObjectId] = []
    for ids in follow(engine, user, params):
        listed += ids
        new = make_job(rng, WORKSPACES, (0, 60))
        engine.database.jobs.insert_one(new)
        touched.add(new["_id"])
        active = [job for job in jobs.values() if job["status"] not in FINAL and job["_id"] not in touched]
        if active:
            moved = rng.choice(active)
            ended = end_job(rng, moved | {"status": rng.choice(sorted(FINAL))})
            engine.database.jobs.replace_one({"_id": moved["_id"]}, ended)
            touched.add(moved["_id"])
        if rng.random() < 0.5:
            fold_up_to(engine, BASE + rng.randint(10, 60) * MINUTE)
    assert len(listed) == len(set(listed)), "nothing twice"
    stayed = [job_id for job_id in before if job_id not in touched]
    assert [job_id for job_id in listed if job_id not in touched] == stayed, params


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_what_may_no_longer_be_read_is_not_on_the_next_page(engine: Engine, fresh: Any, order: str) -> None:
    jobs = fresh(random.Random(3))
    kbase: Any = engine.permissions
    kbase.workspaces = {wsid: {"alice": "r"} for wsid in range(1, WORKSPACES + 1)}
    params: Document = {"scope": "shared", "sort": "created", "order": order, "limit": 5}
    pages = follow(engine, "alice", params)
    first = next(pages)
    lost = set(range(1, WORKSPACES, 2))
    for wsid in lost:
        kbase.workspaces[wsid] = {}
    still = expected(jobs, "alice", set(range(1, WORKSPACES + 1)) - lost, params)
    assert len(first) == 5
    assert [job_id for ids in pages for job_id in ids] == [job_id for job_id in still if job_id not in first]


def test_a_job_that_is_no_longer_shared_by_name_is_not_on_the_next_page(engine: Engine) -> None:
    rng = random.Random(4)
    jobs = [make_job(rng, WORKSPACES, (n, n)) for n in range(12)]
    for job in jobs:
        job.pop("wsid", None)
        job |= {"user": "alice", "shared_with": ["bob"], "hidden_by": []}
    engine.database.jobs.insert_many(jobs)
    pages = follow(engine, "bob", {"scope": "shared", "sort": "created", "order": "asc", "limit": 5})
    ids = [job["_id"] for job in jobs]
    assert next(pages) == ids[:5]
    engine.database.jobs.update_many({"_id": {"$in": ids[5:10]}}, {"$unset": {"shared_with": ""}})
    assert [job_id for page_ids in pages for job_id in page_ids] == ids[10:]
