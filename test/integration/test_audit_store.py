import threading
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from execution_engine.core.clock import now
from execution_engine.store.audit import AuditStore, Span
from execution_engine.store.indexes import INDEXES

SOME = 2_500  # more than is collected at a time


def note(act: str = "submit", actor: str = "alice") -> dict[str, Any]:
    return {"id": ObjectId(), "at": now(), "act": act, "actor": actor, "role": "owner", "request_id": ""}


def with_note(**fields: Any) -> dict[str, Any]:
    return {"_id": ObjectId(), "user": "alice", "status": "created", "outbox": [note()], **fields}


@pytest.fixture
def audit(real_database: Database[dict[str, Any]]) -> AuditStore:
    return AuditStore(real_database)


def test_all_that_lies_in_outboxes_is_collected(audit: AuditStore, real_database: Database[dict[str, Any]]) -> None:
    real_database.jobs.insert_many([with_note() for _ in range(SOME)])
    real_database.batches.insert_many([with_note() for _ in range(3)])
    assert audit.collect() == SOME + 3
    assert audit.collect() == 0
    assert real_database.audit.count_documents({}) == SOME + 3
    assert real_database.jobs.count_documents({"outbox": {"$exists": True}}) == 0


def test_acts_on_what_is_no_job_are_entries_without_one(
    audit: AuditStore, real_database: Database[dict[str, Any]]
) -> None:
    real_database.limits.insert_one({"_id": "running/each_user", "outbox": [note("set_limit")]})
    audit.collect()
    (entry,) = real_database.audit.find()
    assert entry["act"] == "set_limit"
    assert "jobs" not in entry
    assert "outbox" not in real_database.limits.find_one({})


def test_several_collect_while_others_act(audit: AuditStore, real_database: Database[dict[str, Any]]) -> None:
    jobs = [with_note() for _ in range(20)]
    real_database.jobs.insert_many(jobs)
    acting = threading.Event()
    acting.set()

    def act(job_id: ObjectId) -> None:
        for _ in range(20):
            real_database.jobs.update_one({"_id": job_id}, {"$push": {"outbox": note("share")}})

    def collect() -> None:
        while acting.is_set():
            audit.collect()

    collectors = [threading.Thread(target=collect) for _ in range(3)]
    actors = [threading.Thread(target=act, args=(job["_id"],)) for job in jobs]
    for thread in (*collectors, *actors):
        thread.start()
    for thread in actors:
        thread.join()
    acting.clear()
    for thread in collectors:
        thread.join()
    audit.collect()
    per_job = {
        row["_id"]: row["n"]
        for row in real_database.audit.aggregate([{"$unwind": "$jobs"}, {"$group": {"_id": "$jobs", "n": {"$sum": 1}}}])
    }
    assert per_job == {job["_id"]: 21 for job in jobs}


def stages(plan: dict[str, Any]) -> list[str]:
    inner = [plan["inputStage"]] if "inputStage" in plan else plan.get("inputStages", [])
    return [plan["stage"], *(stage for child in inner for stage in stages(child))]


@pytest.mark.parametrize(
    ("match", "index"),
    [
        ({}, "at"),
        ({"jobs": ObjectId()}, "jobs_at"),
        ({"actor": "alice"}, "actor_at"),
        ({"act": "submit"}, "act_at"),
        ({"actor": "alice", "act": "submit"}, "actor_act_at"),
    ],
)
def test_every_page_is_read_in_the_order_of_an_index(
    real_database: Database[dict[str, Any]], match: dict[str, Any], index: str
) -> None:
    queries: list[Any] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(real_database.audit, name)

        def find(self, query: dict[str, Any]) -> Any:
            queries.append(real_database.audit.find(query))
            return queries[-1]

    audit = AuditStore(real_database)
    audit._entries = Watched()  # type: ignore[assignment]
    audit.page(match, index, Span(now(), now()), (now(), "last"), 10)
    plan = queries[0].explain()["queryPlanner"]["winningPlan"]
    assert set(stages(plan)) <= {"LIMIT", "FETCH", "IXSCAN", "OR", "SORT_MERGE", "EOF"}
    assert index in {declared.name for declared in INDEXES if declared.collection == "audit"}


def test_outboxes_are_found_by_their_index(real_database: Database[dict[str, Any]]) -> None:
    query = real_database.jobs.find({"outbox": {"$exists": True}}).hint("outbox")
    assert set(stages(query.explain()["queryPlanner"]["winningPlan"])) <= {"FETCH", "IXSCAN"}
