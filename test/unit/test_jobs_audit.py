from collections.abc import Callable
from typing import Any

import pytest
from bson import ObjectId
from store_engine import METHOD, KBase, finish, person, record, running, submit

from execution_engine.core import context
from execution_engine.core.clock import from_ms, now
from execution_engine.core.errors import InvalidParams
from execution_engine.jobs import audit
from execution_engine.jobs.audit import Act, note_reading
from execution_engine.jobs.audit_pages import list_audit
from execution_engine.jobs.control import cancel, retry
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.hiding import hide, unhide
from execution_engine.jobs.identity import Admin, User
from execution_engine.jobs.lookup import find_job
from execution_engine.jobs.sharing import share, unshare
from execution_engine.jobs.submission import run_jobs

ALICE, BOB, CAROL = person("alice"), person("bob"), person("carol")
ROOT, RUTH = person("root", Admin.FULL), person("ruth", Admin.READ)


def entries(engine: Engine, **filters: Any) -> list[dict[str, Any]]:
    """All that match, oldest first."""
    return list_audit(engine, {"limit": 1_000, **filters})[0][::-1]


def acts(engine: Engine, **filters: Any) -> list[tuple[str, str, str]]:
    return [(entry["act"], entry["actor"], entry["role"]) for entry in entries(engine, **filters)]


def ended(engine: Engine, **params: Any) -> ObjectId:
    job_id, credential = running(engine, **params)
    finish(engine, job_id, credential)
    return job_id


def test_a_life_of_a_job_with_everything_that_people_did(engine: Engine) -> None:
    job_id, credential = running(engine)
    share(engine, ALICE, job_id, ["bob"])
    unshare(engine, ROOT, job_id, ["bob"])
    cancel(engine, ROOT, job_id, "too long")
    finish(engine, job_id, credential, "terminated")
    hide(engine, ALICE, [job_id])
    unhide(engine, ALICE, [job_id])
    again = retry(engine, ALICE, job_id)
    assert acts(engine, job_id=str(job_id)) == [
        ("submit", "alice", "owner"),
        ("share", "alice", "owner"),
        ("unshare", "root", "admin"),
        ("cancel", "root", "admin"),
        ("hide", "alice", "owner"),
        ("unhide", "alice", "owner"),
        ("retry", "alice", "owner"),
    ]
    by_act = {entry["act"]: entry for entry in entries(engine)}
    assert by_act["submit"]["after"] == {"status": "created", "method": METHOD}
    assert (by_act["share"]["before"], by_act["share"]["after"]) == ({"shared_with": []}, {"shared_with": ["bob"]})
    assert by_act["cancel"]["reason"] == "too long"
    assert (by_act["cancel"]["before"], by_act["cancel"]["after"]) == ({"cancel_requested": 0}, {"cancel_requested": 1})
    assert by_act["retry"]["jobs"] == [again, job_id]
    assert by_act["retry"]["after"]["retry_of"] == str(job_id)


def test_the_history_says_as_what_and_why(engine: Engine) -> None:
    job_id = submit(engine, wsid=7)
    cancel(engine, CAROL, job_id, "wrong input")
    last = record(engine, job_id)["history"][-1]
    assert (last["event"], last["actor"], last["role"], last["note"]) == (
        "terminated",
        "carol",
        "workspace_write",
        "wrong input",
    )
    assert entries(engine, act="cancel")[0]["after"] == {"status": "terminated"}


def test_a_batch_is_one_entry_and_each_of_its_cancelled_jobs_another(engine: Engine) -> None:
    batch_id, job_ids = run_jobs(engine, ALICE, {"jobs": [{"method": METHOD}] * 3, "wsid": 7})
    cancel(engine, CAROL, batch_id, None)
    assert acts(engine, job_id=str(batch_id)) == [
        ("submit_batch", "alice", "workspace_admin"),
        *[("cancel", "carol", "workspace_write")] * 3,
    ]
    assert entries(engine, act="submit_batch")[0]["after"] == {"status": "created", "jobs": 3, "wsid": 7}
    assert [entry["jobs"] for entry in entries(engine, act="cancel", job_id=str(job_ids[1]))] == [
        [job_ids[1], batch_id]
    ]


def test_what_did_not_happen_is_not_audited(engine: Engine) -> None:
    job_id = ended(engine)
    before = acts(engine)
    cancel(engine, ALICE, job_id, None)
    share(engine, ALICE, job_id, ["alice"])
    unhide(engine, ALICE, [job_id])
    find_job(engine, ALICE, job_id)
    assert acts(engine) == before == [("submit", "alice", "owner")]


def test_an_entry_names_the_request(engine: Engine) -> None:
    token = context.request_id.set("f00d")
    try:
        submit(engine)
    finally:
        context.request_id.reset(token)
    assert [entry["request_id"] for entry in entries(engine)] == ["f00d"]


def test_administrators_leave_traces_where_they_look_into_others_jobs(engine: Engine) -> None:
    job_id = ended(engine, wsid=7)
    for user in (ROOT, RUTH, BOB, ALICE):
        find_job(engine, user, job_id)
        note_reading(engine, user, [record(engine, job_id)], Act.READ_LOG)
    readings = [entry for entry in acts(engine, job_id=str(job_id)) if entry[0].startswith("read")]
    assert sorted(readings) == sorted(
        (f"read_{what}", name, role)
        for name, role in (("root", "admin"), ("ruth", "read_admin"))
        for what in ("log", "input", "output")
    )


def test_a_look_at_the_record_alone_is_no_reading(engine: Engine) -> None:
    find_job(engine, ROOT, ended(engine), frozenset())
    assert acts(engine, actor="root") == []


def test_who_follows_a_log_is_noted_once_in_ten_minutes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    job = record(engine, submit(engine))
    for minute in (0, 1, 9, 10, 11):
        monkeypatch.setattr(audit, "now", lambda minute=minute: from_ms((600_000 * 3) + minute * 60_000))
        note_reading(engine, ROOT, [job], Act.READ_LOG)
    assert len(entries(engine, actor="root")) == 2


class Crash(Exception):
    pass


def crash(*_: Any, **__: Any) -> None:
    raise Crash


def test_a_crash_right_after_an_act_loses_nothing(engine: Engine) -> None:
    # Nothing but the act's own write has happened: no list was asked for, no dispatcher has run.
    job_id = submit(engine)
    assert engine.database.audit.count_documents({}) == 0
    assert [note["act"] for note in record(engine, job_id)["outbox"]] == ["submit"]
    assert acts(engine) == [("submit", "alice", "owner")]


def test_a_crash_while_collecting_neither_loses_nor_doubles(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = submit(engine)
    source = engine.audit._sources[0]
    with monkeypatch.context() as patch:
        patch.setattr(source, "bulk_write", crash)  # written to the audit, and not yet out of the outbox
        with pytest.raises(Crash):
            engine.audit.collect()
    assert "outbox" in record(engine, job_id)
    assert engine.audit.collect() == 1
    assert engine.audit.collect() == 0
    assert "outbox" not in record(engine, job_id)
    assert len(entries(engine)) == 1


def test_an_act_in_the_middle_of_collecting_waits_for_the_next_time(engine: Engine) -> None:
    job_id = submit(engine)
    add = engine.audit.add

    def meanwhile(found: list[dict[str, Any]]) -> None:
        add(found)
        if len(record(engine, job_id)["outbox"]) == 1:
            share(engine, ALICE, job_id, ["bob"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(engine.audit), "add", lambda _, found: meanwhile(found))
        engine.audit.collect()
        assert [note["act"] for note in record(engine, job_id)["outbox"]] == ["submit", "share"]
    assert [act for act, *_ in acts(engine)] == ["submit", "share"]


def test_a_late_collector_takes_nothing_that_it_has_not_written(engine: Engine) -> None:
    # It read the first note; another one has emptied the outbox meanwhile, and a second act has filled it again.
    job_id = submit(engine)
    add = engine.audit.add

    def meanwhile(found: list[dict[str, Any]]) -> None:
        if found:
            engine.database.jobs.update_one({"_id": job_id}, {"$unset": {"outbox": ""}})
            share(engine, ALICE, job_id, ["bob"])
        add(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(engine.audit), "add", lambda _, found: meanwhile(found))
        engine.audit.collect()
    assert [note["act"] for note in record(engine, job_id)["outbox"]] == ["share"]


FILTERS: dict[str, Callable[[Any], bool]] = {
    "actor": lambda entry: entry["actor"] == "carol",
    "act": lambda entry: entry["act"] == "submit",
}


@pytest.mark.parametrize("names", [(), ("actor",), ("act",), ("actor", "act")])
def test_pages_follow_each_other_without_gap(engine: Engine, names: tuple[str, ...]) -> None:
    for n in range(9):
        job_id = submit(engine, ("alice", "carol")[n % 2])
        share(engine, ROOT, job_id, ["bob"])
    everything = entries(engine)[::-1]
    filters = {name: {"actor": "carol", "act": "submit"}[name] for name in names}
    wanted = [entry["_id"] for entry in everything if all(FILTERS[name](entry) for name in names)]
    got, cursor = [], None
    while True:
        page, cursor = list_audit(engine, filters | {"limit": 2} | ({"cursor": cursor} if cursor else {}))
        got += [entry["_id"] for entry in page]
        if cursor is None:
            break
    assert got == wanted


def test_times_are_half_open(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for ms in (1000, 2000, 3000):
        monkeypatch.setattr(audit, "now", lambda ms=ms: from_ms(ms))
        submit(engine)
    monkeypatch.setattr(audit, "now", now)
    assert [entry["at"] for entry in entries(engine, **{"from": 1000, "to": 3000})] == [from_ms(1000), from_ms(2000)]


def test_a_cursor_belongs_to_its_list(engine: Engine) -> None:
    for _ in range(3):
        submit(engine)
    _, cursor = list_audit(engine, {"limit": 1})
    with pytest.raises(InvalidParams, match="belongs to another list"):
        list_audit(engine, {"actor": "alice", "cursor": cursor})
    for odd in ("!", "e30", "WzEsMiwzXQ", "W251bGwsMSwxXQ"):
        with pytest.raises(InvalidParams, match=r"params\.cursor"):
            list_audit(engine, {"cursor": odd})


def test_who_retries_with_a_workspaces_right_is_said_to(engine: Engine) -> None:
    retry(engine, CAROL, ended(engine, wsid=7))
    assert acts(engine, act="retry") == [("retry", "carol", "workspace_write")]


def test_a_reader_as_administrator_may_do_more_as_anybody_else(engine: Engine, kbase: KBase) -> None:
    kbase.workspaces[7]["ruth"] = "w"
    user: User = RUTH
    assert cancel(engine, user, submit(engine, wsid=7), None)["cancelled"] == 1
    assert acts(engine, act="cancel") == [("cancel", "ruth", "workspace_write")]
