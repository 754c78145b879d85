import datetime as dt
from collections.abc import Callable
from importlib import resources
from typing import Any

import mongomock
import pytest
from bson import ObjectId
from store_engine import (
    COMMIT,
    METHOD,
    RUNNER,
    KBase,
    begin,
    claim,
    finish,
    hand_out,
    make_engine,
    record,
    running,
    submit,
)
from store_exceptions import imitate_indexes

from execution_engine import __version__
from execution_engine.api.methods import native_registry
from execution_engine.api.views import FIELDS
from execution_engine.core.clock import now, to_ms
from execution_engine.core.errors import (
    AppNotFound,
    CredentialInvalid,
    InvalidParams,
    JobNotFound,
    LogGap,
    TokenInvalid,
    TokenMissing,
)
from execution_engine.jobs import lookup
from execution_engine.jobs.engine import Engine
from execution_engine.rpc.registry import Registry

Call = Callable[..., Any]
NOW = 1_800_000_000_000


@pytest.fixture(scope="module")
def whole() -> tuple[Engine, Registry]:
    """One for all tests: compiling the contract takes its time."""
    database: Any = mongomock.MongoClient(tz_aware=True)["execution_engine"]
    imitate_indexes(database)
    engine = make_engine(database, KBase())
    return engine, registry_of(engine)


@pytest.fixture
def kbase(whole: tuple[Engine, Registry]) -> Any:
    fresh = KBase(workspaces={7: {"alice": "a", "bob": "r", "carol": "w"}})
    vars(whole[0].workspace).update(vars(fresh))
    return whole[0].workspace


@pytest.fixture
def engine(whole: tuple[Engine, Registry], kbase: KBase) -> Engine:
    assert kbase is whole[0].workspace
    for name in whole[0].database.list_collection_names():
        whole[0].database[name].delete_many({})
    vars(whole[0]).pop("queues", None)  # what was seen in the test before
    return whole[0]


@pytest.fixture
def registry(whole: tuple[Engine, Registry], engine: Engine) -> Registry:
    assert engine is whole[0]
    return whole[1]


def registry_of(engine: Engine) -> Registry:
    spec = resources.files("execution_engine").joinpath("spec/ExecutionEngine.spec").read_text(encoding="utf-8")
    return native_registry(engine, spec, git_commit="abc123")


@pytest.fixture
def call(registry: Registry) -> Call:
    """A call as it comes in, held against the contract on both ways; ``by`` is a user or a runner's secret."""

    def call(name: str, by: str | None = "alice", **params: Any) -> Any:
        method = registry.find(f"ExecutionEngine.{name}")
        token = f"{by}-token" if by and not by.startswith("ee") else by
        result = method.call(token, params)
        method.check_result(result)
        return result

    return call


def start(call: Call, engine: Engine, job_id: str) -> str:
    ticket = hand_out(engine, ObjectId(job_id))
    answer = call("start_job", ticket, job_id=job_id, attempt=1, runner=RUNNER, host="node7")
    credential: str = answer["credential"]
    return credential


def test_the_whole_contract_has_code(registry: Registry) -> None:
    registry.check_complete()


def test_the_life_of_a_job_as_its_clients_see_it(call: Call, engine: Engine) -> None:
    job_id = call("run_job", method=METHOD, params=[{"k": 21}], wsid=7, app_id="m/a", source_ws_objects=["7/1/1"])
    assert call("check_job", job_id=job_id)["hold"]["code"] == "dispatcher_down"
    credential = start(call, engine, job_id)
    ids = {"job_id": job_id, "attempt": 1}
    assert call("get_job_params", credential, **ids)["token"] == "alice-token"
    progress = {"percent": 40, "message": "counting"}
    assert call("heartbeat", credential, **ids, progress=progress)["cancel_requested"] == 0
    lines = [{"line": "hello", "ts": NOW}, {"line": "oh", "stream": "stderr", "ts": NOW + 1}]
    assert call("add_job_logs", credential, **ids, first_line=0, lines=lines) == {
        "next_line": 2,
        "cancel_requested": 0,
    }
    job = call("check_job", job_id=job_id)
    assert job["progress"] == progress | {"at": job["last_contact"]}
    assert call("get_logs", job_id=job_id) == {
        "lines": [
            {"n": 0, "line": "hello", "stream": "stdout", "ts": NOW},
            {"n": 1, "line": "oh", "stream": "stderr", "ts": NOW + 1},
        ],
        "next_line": 2,
        "total_lines": 2,
        "ended": 0,
    }
    output = [{"report_ref": "7/4/1"}]
    assert call("finish_job", credential, **ids, outcome="completed", output=output) == {
        "status": "completed",
        "accepted": 1,
    }
    stored = record(engine, ObjectId(job_id))
    assert call("check_job", job_id=job_id) == {
        "job_id": job_id,
        "user": "alice",
        "wsid": 7,
        "method": METHOD,
        "app_id": "m/a",
        "service_ver": COMMIT,
        "source_ws_objects": ["7/1/1"],
        "client_group": "local",
        "requirements": {"cpus": 2, "memory_mb": 512, "disk_gb": 1},
        "status": "completed",
        "attempt": 1,
        "backend": "local",
        "backend_id": f"ee.{job_id}.1",
        "host": "node7",
        "params": [{"k": 21}],
        "output": output,
        "reports": ["7/4/1"],
        "history": [
            {
                "at": to_ms(stored["created"]),
                "event": "created",
                "status": "created",
                "actor": "alice",
                "role": "workspace_admin",
            },
            {"at": to_ms(stored["attempt"]["claimed_at"]), "event": "claimed", "actor": "engine", "attempt": 1},
            {"at": to_ms(stored["queued"]), "event": "queued", "status": "queued", "actor": "engine", "attempt": 1},
            {"at": to_ms(stored["running"]), "event": "started", "status": "running", "actor": "runner", "attempt": 1},
            {
                "at": to_ms(stored["finished"]),
                "event": "completed",
                "status": "completed",
                "actor": "runner",
                "attempt": 1,
            },
        ],
        **{name: to_ms(stored[name]) for name in ("created", "queued", "running", "finished", "updated")},
    }
    assert call("get_logs", job_id=job_id, skip=2)["ended"] == 1
    # The report is larger than what is shown: said for it, not for the call.
    (report,) = call("get_report", job_id=job_id)["reports"]
    assert (report["ref"], report["error"]["reason"]) == ("7/4/1", "object_not_readable")


def test_a_record_has_only_the_fields_that_were_asked_for(call: Call, engine: Engine) -> None:
    job_id = str(submit(engine))
    assert call("check_job", job_id=job_id, fields=[]) == {"job_id": job_id}
    assert call("check_job", job_id=job_id, fields=["job_id", "status", "finished"]) == {
        "job_id": job_id,
        "status": "created",
    }
    assert call("check_job", job_id=job_id, fields=["params"])["params"] == [{"k": 21}]
    for field in FIELDS:
        assert call("check_job", job_id=job_id, fields=[field]).keys() <= {"job_id", field}


@pytest.mark.parametrize(
    ("method", "params"),
    [("check_job", {"job_id": "0" * 24}), ("check_jobs", {"job_ids": ["0" * 24]}), ("list_jobs", {})],
)
def test_a_field_that_no_job_has_is_refused(call: Call, method: str, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams, match=r"params\.fields: a job has no field 'colour'; expected some of "):
        call(method, **params, fields=["status", "colour"])


def test_contact_and_progress_are_two_fields(call: Call, engine: Engine) -> None:
    job_id = str(submit(engine))
    credential = start(call, engine, job_id)
    call("heartbeat", credential, job_id=job_id, attempt=1, progress={"percent": 1})
    assert call("check_job", job_id=job_id, fields=["progress"]).keys() == {"job_id", "progress"}
    assert call("check_job", job_id=job_id, fields=["last_contact"]).keys() == {"job_id", "last_contact"}


def test_many_jobs_each_with_its_own_answer(call: Call, engine: Engine) -> None:
    mine, private, unknown = str(submit(engine)), str(submit(engine, "bob")), str(ObjectId())
    answer = call("check_jobs", job_ids=[mine, private, unknown, mine])
    assert answer["jobs"].keys() == {mine}
    assert not {"params", "output"} & answer["jobs"][mine].keys()
    assert answer["errors"] == {
        job_id: {
            "code": -32100,
            "reason": "job_not_found",
            "message": f"There is no job {job_id}, or you may not read it.",
        }
        for job_id in (private, unknown)
    }
    with_params = call("check_jobs", job_ids=[mine], fields=["params"])
    assert with_params["jobs"][mine]["params"] == [{"k": 21}]


def test_a_list_shows_neither_payload_nor_history_and_says_where_it_goes_on(call: Call, engine: Engine) -> None:
    jobs = [str(submit(engine)) for _ in range(3)]
    first = call("list_jobs", limit=2)
    assert [job["job_id"] for job in first["jobs"]] == jobs[:0:-1]
    assert not {"params", "output", "history"} & first["jobs"][0].keys()
    last = call("list_jobs", limit=2, cursor=first["next_cursor"])
    assert [job["job_id"] for job in last["jobs"]] == jobs[:1]
    assert "next_cursor" not in last
    assert call("list_jobs", "carol", wsid=7) == {"jobs": []}


def test_a_batch_and_its_jobs(call: Call) -> None:
    answer = call("run_jobs", jobs=[{"method": METHOD}, {"method": "sequence_tools.quiet"}], wsid=7)
    batch = call("check_job", job_id=answer["batch_id"])
    assert batch == {
        "job_id": answer["batch_id"],
        "user": "alice",
        "wsid": 7,
        "batch": 1,
        "status": "created",
        "children": {"created": 2},
        "created": batch["created"],
        "updated": batch["created"],
    }
    child = call("check_job", job_id=answer["job_ids"][1])
    assert (child["batch_id"], child["method"]) == (answer["batch_id"], "sequence_tools.quiet")
    assert call("cancel_job", job_id=answer["batch_id"]) == {
        "job_id": answer["batch_id"],
        "status": "terminated",
        "cancelled": 2,
    }


def test_cancelling_one_and_many(call: Call, engine: Engine) -> None:
    waiting, other, private = str(submit(engine)), str(submit(engine)), str(submit(engine, "bob"))
    answer = call("cancel_job", job_id=waiting, reason="wrong input")
    assert (answer["status"], answer["cancelled"], answer["cancel_requested"]["reason"]) == (
        "terminated",
        1,
        "wrong input",
    )
    assert call("check_job", job_id=waiting)["cancel_requested"] == answer["cancel_requested"]
    many = call("cancel_jobs", job_ids=[waiting, other, private, other])
    assert {job_id: one["cancelled"] for job_id, one in many["jobs"].items()} == {waiting: 0, other: 1}
    assert many["errors"][private]["reason"] == "job_not_found"


def test_a_retry_has_an_error_per_job_never_of_the_call(call: Call, engine: Engine, kbase: KBase) -> None:
    ended, active, unknown = str(submit(engine)), str(submit(engine)), str(ObjectId())
    call("cancel_job", job_id=ended)
    good, bad, missing = call("retry_jobs", job_ids=[ended, active, unknown])
    assert good.keys() == {"job_id", "retry_id"}
    assert (bad["job_id"], bad["error"]["reason"]) == (active, "not_retryable")
    assert missing["error"]["reason"] == "job_not_found"
    assert call("check_job", job_id=good["retry_id"])["retry_of"] == ended
    assert call("check_job", job_id=ended)["retries"] == [good["retry_id"]]
    kbase.down.add("catalog")
    (refused,) = call("retry_jobs", job_ids=[ended])
    assert refused["error"]["reason"] == "catalog_unavailable"


def test_an_id_that_is_named_twice_is_retried_once(call: Call, engine: Engine) -> None:
    one, other = str(submit(engine)), str(submit(engine))
    call("cancel_jobs", job_ids=[one, other])
    first, second, again = call("retry_jobs", job_ids=[one, other, one])
    assert first == again
    assert [first["job_id"], second["job_id"]] == [one, other]
    assert call("check_job", job_id=one)["retries"] == [first["retry_id"]]


def test_what_does_not_fit_into_an_answer_is_left_out_and_named(
    call: Call, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, credential = running(engine, params=["x" * 50])
    finish(engine, done, credential, output=["y" * 50])
    large, small = submit(engine, params=["z" * 70]), submit(engine, params=[])
    ids = [str(job_id) for job_id in (done, large, small)]
    monkeypatch.setattr(lookup, "PAYLOAD_BYTES", 120)
    asked = {"fields": ["params", "output"]}
    jobs = call("check_jobs", job_ids=ids, **asked)["jobs"]
    assert [jobs[job_id].keys() - {"job_id"} for job_id in ids] == [{"params", "output"}, {"omitted"}, {"params"}]
    assert jobs[ids[1]]["omitted"] == ["params"]
    page = call("list_jobs", order="asc", **asked)["jobs"]
    assert page == [jobs[job_id] for job_id in ids]
    monkeypatch.setattr(lookup, "PAYLOAD_BYTES", 10)
    assert call("check_job", job_id=ids[0], **asked).keys() == {"job_id", "params", "output"}
    assert call("check_jobs", job_ids=ids[:1], **asked)["jobs"][ids[0]].keys() == {"job_id", "params", "output"}


def test_what_was_left_out_was_not_read(
    call: Call, engine: Engine, kbase: KBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    kbase.roles["ruth"] = {"EE_ADMIN_RO"}
    jobs = [str(submit(engine, params=["x" * 50])) for _ in range(2)]
    monkeypatch.setattr(lookup, "PAYLOAD_BYTES", 60)
    call("check_jobs", "ruth", job_ids=jobs, fields=["params"])
    read = call("list_audit", "ruth", act="read_input")["entries"]
    assert [entry["job_id"] for entry in read] == jobs[:1]


def test_an_administrators_look_at_a_report_is_audited(call: Call, engine: Engine, kbase: KBase) -> None:
    kbase.roles["ruth"] = {"EE_ADMIN_RO"}
    job_id = str(submit(engine))
    for by in ("alice", "ruth"):
        call("get_report", by, job_id=job_id)
    (entry,) = call("list_audit", "ruth", act="read_report")["entries"]
    assert (entry["actor"], entry["role"], entry["job_id"]) == ("ruth", "read_admin", job_id)


def log_of(call: Call, engine: Engine, n: int) -> str:
    job_id = str(submit(engine))
    credential = start(call, engine, job_id)
    lines = [{"line": f"line {i}", "ts": NOW + i} for i in range(n)]
    call("add_job_logs", credential, job_id=job_id, attempt=1, lines=lines)
    return job_id


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"skip": 8}, [8, 9]),
        ({"skip": 2, "limit": 3}, [2, 3, 4]),
        ({"skip": 10}, []),
        ({"tail": 3}, [7, 8, 9]),
        ({"tail": 100}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"since": NOW + 7}, [7, 8, 9]),
        ({"since": NOW + 7, "limit": 1}, [7]),
        ({"since": NOW + 2, "skip": 5, "limit": 2}, [5, 6]),
        ({"since": NOW + 100}, []),
    ],
)
def test_lines_of_a_log(call: Call, engine: Engine, asked: dict[str, Any], numbers: list[int]) -> None:
    page = call("get_logs", job_id=log_of(call, engine, 10), **asked)
    assert [line["n"] for line in page["lines"]] == numbers
    assert [line["line"] for line in page["lines"]] == [f"line {n}" for n in numbers]
    assert page["total_lines"] == 10
    assert page["next_line"] == (numbers[-1] + 1 if numbers else 10)


def test_a_job_without_lines_has_an_empty_log(call: Call, engine: Engine) -> None:
    job_id = str(submit(engine))
    assert call("get_logs", job_id=job_id) == {"lines": [], "next_line": 0, "total_lines": 0, "ended": 0}
    with pytest.raises(JobNotFound):
        call("get_logs", "bob", job_id=job_id)


def test_long_lines_are_cut_and_lines_without_a_time_get_one(mock_database: Any, kbase: KBase) -> None:
    engine = make_engine(mock_database, kbase, max_line_chars=10)
    registry = registry_of(engine)
    job_id = submit(engine)
    credential = begin(engine, job_id, hand_out(engine, job_id))["credential"]
    params = {"job_id": str(job_id), "attempt": 1, "lines": [{"line": "0123456789abc"}, {"line": "0123456789"}]}
    registry.find("add_job_logs").call(credential, params)
    lines = registry.find("get_logs").call("alice-token", {"job_id": str(job_id)})["lines"]
    assert [line["line"] for line in lines] == ["0123456789 … [cut: 3 characters left out]", "0123456789"]
    assert lines[0]["ts"] == lines[1]["ts"] >= to_ms(record(engine, job_id)["running"])


def test_a_gap_in_the_log_says_where_to_go_on(call: Call, engine: Engine) -> None:
    job_id = str(submit(engine))
    credential = start(call, engine, job_id)
    with pytest.raises(LogGap) as caught:
        call("add_job_logs", credential, job_id=job_id, attempt=1, first_line=3, lines=[{"line": "x"}])
    assert caught.value.data == {"next_line": 0}


@pytest.mark.parametrize("name", ["get_job_params", "heartbeat", "add_job_logs", "finish_job", "start_job"])
def test_what_runners_call_takes_a_runners_secret_alone(call: Call, name: str) -> None:
    what = "start ticket" if name == "start_job" else "attempt's credential"
    with pytest.raises(TokenMissing, match=f"The Authorization header is missing; expected the {what}"):
        call(name, None)
    with pytest.raises(CredentialInvalid, match=f"does not hold the {what}, which begins with ee"):
        call(name, "alice")
    with pytest.raises(CredentialInvalid):
        call(name, "eec_x" if name == "start_job" else "eet_x")


def test_a_runner_that_is_not_the_first_gets_no_credential(call: Call, engine: Engine) -> None:
    job_id = submit(engine)
    _, ticket = claim(engine, job_id)
    ids = {"job_id": str(job_id), "attempt": 1}
    first = call("start_job", ticket, **ids, runner=RUNNER)
    assert call("start_job", ticket, **ids, runner=RUNNER) == first


def test_what_users_call_takes_no_runners_secret(call: Call) -> None:
    with pytest.raises(TokenInvalid, match="a runner's secret"):
        call("whoami", "eec_x")


def test_who_is_asking(call: Call, kbase: KBase) -> None:
    def who(name: str) -> Any:
        answer = call("whoami", name)
        return answer.pop("client_groups") and answer

    assert who("alice") == {"user": "alice", "roles": [], "admin": "none"}
    kbase.roles["ruth"] = {"EE_ADMIN_RO", "OTHER"}
    assert who("ruth") == {"user": "ruth", "roles": ["EE_ADMIN_RO", "OTHER"], "admin": "read"}


def test_how_the_service_is(call: Call) -> None:
    answer = call("status", None)
    assert (answer["state"], answer["version"], answer["git_commit"]) == ("degraded", __version__, "abc123")
    assert answer["dependencies"]["database"]["state"] == "up"
    assert call("ver", None) == __version__


def test_the_settings_that_clients_may_know(call: Call) -> None:
    config = call("list_config", None)
    assert config["client_groups"] == "local,bigmem"
    assert config["default_client_group"] == "local"
    assert "mongo_url" not in config
    assert call("list_config", "alice") == config


def test_an_app_that_is_not_found_is_named(call: Call) -> None:
    with pytest.raises(AppNotFound, match="no_such"):
        call("run_job", method="no_such.app")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("run_job", {}),
        ("run_job", {"method": "no dot"}),
        ("run_job", {"method": METHOD, "colour": "red"}),
        ("run_job", {"method": METHOD, "requirements": {"cpus": 0}}),
        ("run_jobs", {"jobs": []}),
        ("check_job", {"job_id": "17"}),
        ("list_jobs", {"limit": 1001}),
        ("list_jobs", {"status": ["done"]}),
        ("get_logs", {"job_id": "0" * 24, "limit": 0}),
    ],
)
def test_parameters_outside_of_the_contract_reach_no_rule(call: Call, name: str, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams):
        call(name, **params)


def test_limits_are_set_shown_and_removed(call: Call, kbase: KBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execution_engine.jobs.limit_reader.time.sleep", lambda _: None)
    kbase.roles["root"] = {"EE_ADMIN"}
    limit = {"kind": "running", "each_user": 1, "client_group": "bigmem", "value": 2}
    kept = call("set_limit", "root", reason="new", **limit)
    assert kept == limit | {"set_by": "root", "set_at": kept["set_at"], "reason": "new"}
    assert call("get_limits", "root") == {"limits": [kept]}
    assert call("get_limits") == {"limits": [limit | {"in_use": 0}]}
    assert call("remove_limit", "root", kind="running", each_user=True, client_group="bigmem") == kept
    assert call("get_limits") == {"limits": []}


def test_the_time_limit_of_an_attempt_is_shown_and_told_to_the_runner(call: Call, engine: Engine) -> None:
    job_id = ObjectId(call("run_job", method=METHOD))
    assert "time_limit_s" not in call("check_job", job_id=str(job_id))
    ticket = hand_out(engine, job_id, time_limit_s=60)
    credential = begin(engine, job_id, ticket)["credential"]
    assert call("check_job", job_id=str(job_id), fields=["time_limit_s"])["time_limit_s"] == 60
    assert 0 < call("get_job_params", credential, job_id=str(job_id), attempt=1)["time_left_ms"] <= 60_000
    begun = now() - dt.timedelta(seconds=61)
    engine.database.jobs.update_one({"_id": job_id}, {"$set": {"running": begun}})
    assert call("get_job_params", credential, job_id=str(job_id), attempt=1)["time_left_ms"] == 0


def test_the_queue_the_resources_and_who_uses_them(call: Call, engine: Engine, kbase: KBase) -> None:
    kbase.roles["ruth"] = {"EE_ADMIN_RO"}
    kbase.roles["root"] = {"EE_ADMIN"}
    inside, waiting = submit(engine), submit(engine, "bob", client_group="bigmem")
    hand_out(engine, inside)
    resources: Any = {"cpus_total": 8, "cpus_used": 1, "groups": [{"client_group": "bigmem", "reason": "no nodes"}]}
    engine.backends.report("local", now(), "up", None, resources, "a notice")
    drained = call("set_backend_state", "root", backend="local", state="draining", reason="new disks")
    assert (drained["by"], drained["state"]) == ("root", "draining")
    place = call("check_job", job_id=str(inside))["queue"]
    assert (place["position"], "no_forecast" in place) == (1, True)
    assert "queue" not in call("check_jobs", job_ids=[str(inside)])["jobs"][str(inside)]
    queue = call("get_queue", "bob", client_group="bigmem")
    assert (queue["waiting"], queue["closed"]["code"]) == (1, "backend_draining")
    assert [it["job_id"] for it in queue["mine"]] == [str(waiting)]
    assert call("get_queue", "ruth")["people"][0]["user"] == "alice"
    assert call("get_resources", "bob").keys() == {"groups"}
    (backend,) = call("get_resources", "ruth")["backends"]
    assert (backend["state"], backend["notice"], backend["inside"]) == ("draining", "a notice", 1)
    assert [it["client_group"] for it in call("get_usage", "bob")["mine"]] == ["bigmem"]
    assert len(call("get_usage", "ruth")["people"]) == 2
    assert call("set_backend_state", "root", backend="local", state="up") == {"backend": "local", "state": "up"}
