from typing import Any

import pytest
from bson import ObjectId
from store_engine import COMMIT, METHOD, KBase, begin, finish, hand_out, make_engine, person, running, submit

from execution_engine.core.errors import CredentialInvalid, WrongState
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.work import Heartbeats, get_work

ALICE = person("alice")


def call(job_id: ObjectId, **more: Any) -> dict[str, Any]:
    return {"job_id": str(job_id), "attempt": 1, **more}


def test_a_runner_is_given_everything_that_it_needs(mock_database: Any, kbase: KBase) -> None:
    engine = make_engine(mock_database, kbase, worker_url="http://engine.example.org/services/ee")
    job_id, credential = running(engine, wsid=7, app_id="m/a")
    assert get_work(engine, credential, call(job_id)) == {
        "job_id": str(job_id),
        "user": "alice",
        "method": METHOD,
        "params": [{"k": 21}],
        "service_ver": COMMIT,
        "app_id": "m/a",
        "wsid": 7,
        "app": {"kind": "command", "command": ["python3", "kmers.py"], "directory": "/apps/sequence_tools"},
        "requirements": {"cpus": 2, "memory_mb": 512, "disk_gb": 1},
        "token": "alice-token",
        "services": {
            "execution_engine": "http://engine.example.org/services/ee",
            "workspace": engine.settings.workspace_url,
            "auth": engine.settings.auth_url,
            "catalog": engine.settings.catalog_url,
        },
        "limits": {"output_bytes": 15_000_000, "line_chars": 10_000, "lines_per_call": 1_000},
    }


def test_an_app_that_needs_no_token_gets_none(engine: Engine) -> None:
    job_id, credential = running(engine, method="sequence_tools.quiet")
    work = get_work(engine, credential, call(job_id))
    assert not {"token", "wsid", "app_id"} & work.keys()


def test_a_token_that_can_not_be_read_any_more_is_left_out(engine: Engine) -> None:
    job_id, credential = running(engine)
    engine.database.job_io.update_one({"_id": f"{job_id}.in"}, {"$set": {"token": b"of another key"}})
    assert "token" not in get_work(engine, credential, call(job_id))


def test_only_a_running_job_hands_out_its_work(engine: Engine) -> None:
    job_id, credential = running(engine)
    finish(engine, job_id, credential)
    with pytest.raises(WrongState, match="is completed; only a running job") as caught:
        get_work(engine, credential, call(job_id))
    assert caught.value.data == {"status": "completed"}
    with pytest.raises(CredentialInvalid):
        get_work(engine, "eec_made_up", call(job_id))


def written(engine: Engine, job_id: ObjectId) -> Any:
    return engine.heartbeats.get_many([job_id]).get(job_id)


def test_signs_of_life_are_written_now_and_then(engine: Engine) -> None:
    heartbeats = Heartbeats(engine)
    job_id, credential = running(engine)
    first = heartbeats.heartbeat(credential, call(job_id, progress={"percent": 10.0}))
    assert first == {"cancel_requested": 0, "heartbeat_ms": 5_000}
    heartbeats.heartbeat(credential, call(job_id, progress={"percent": 20.0}))
    assert written(engine, job_id)["progress"]["percent"] == 10.0
    other, its_credential = running(engine)
    heartbeats.heartbeat(its_credential, call(other))
    assert "progress" not in written(engine, other)


def test_a_sign_of_life_of_another_attempt_is_written_at_once(engine: Engine) -> None:
    heartbeats = Heartbeats(engine)
    job_id, credential = running(engine)
    heartbeats.heartbeat(credential, call(job_id))
    engine.database.jobs.update_one({"_id": job_id}, {"$set": {"attempt.n": 2}})
    heartbeats.heartbeat(credential, {"job_id": str(job_id), "attempt": 2})
    assert written(engine, job_id)["attempt"] == 2


def test_each_is_written_where_the_site_wants_that(mock_database: Any, kbase: KBase) -> None:
    engine = make_engine(mock_database, kbase, heartbeat_write_seconds=0.0)
    heartbeats = Heartbeats(engine)
    job_id, credential = running(engine)
    for percent in (10.0, 20.0):
        heartbeats.heartbeat(credential, call(job_id, progress={"percent": percent}))
        assert written(engine, job_id)["progress"]["percent"] == percent


def test_the_answer_brings_the_order_to_stop(engine: Engine) -> None:
    heartbeats = Heartbeats(engine)
    job_id, credential = running(engine)
    heartbeats.heartbeat(credential, call(job_id))
    cancel(engine, ALICE, job_id, None)
    assert heartbeats.heartbeat(credential, call(job_id))["cancel_requested"] == 1


def test_an_ended_job_gives_no_sign_of_life(engine: Engine) -> None:
    job_id, credential = running(engine)
    finish(engine, job_id, credential)
    Heartbeats(engine).heartbeat(credential, call(job_id))
    assert written(engine, job_id) is None


def test_a_foreign_credential_gives_none_either(engine: Engine) -> None:
    job_id = submit(engine)
    ticket = hand_out(engine, job_id)
    with pytest.raises(CredentialInvalid):
        Heartbeats(engine).heartbeat("eec_made_up", call(job_id))
    begin(engine, job_id, ticket)
    with pytest.raises(CredentialInvalid):
        Heartbeats(engine).heartbeat("eec_made_up", call(job_id))
