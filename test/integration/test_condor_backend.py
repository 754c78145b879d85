"""What the HTCondor backend does beyond the contract, on a real pool."""

import dataclasses
import signal
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from condor_pool import CondorPool
from system import submit, until, until_state

from execution_engine.backends.base import Absent, Accepted, Refused, SightingState
from execution_engine.core.errors import BackendUnavailable

pytest.importorskip("htcondor2", reason="HTCondor's Python library is missing: make .venv/installed-dev")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condor_system import CondorSystem

GONE, RUNNING, WAITING = SightingState.GONE, SightingState.RUNNING, SightingState.WAITING


@pytest.fixture
def system(condor_pool: CondorPool, tmp_path: Path) -> "Iterator[CondorSystem]":
    from condor_system import CondorSystem  # noqa: PLC0415

    system = CondorSystem(tmp_path, condor_pool)
    yield system
    system.end()


def test_a_hanging_schedd_is_given_up_in_time_and_asked_again_later(system: "CondorSystem") -> None:
    backend = system.backend(timeout_seconds=4.0)
    job = system.submission()
    [backend_id] = submit(backend, job)
    until_state(backend, backend_id, RUNNING)
    [pid] = system.pool.signal("schedd", signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(BackendUnavailable, match=r"can't be used: it did not answer within 4 s\."):
            backend.poll([backend_id])
        assert time.monotonic() - began < 15  # HTCondor's own patience is 20 s
    finally:
        system.pool.signal("schedd", signal.SIGCONT)
    assert pid in system.pool.pids("schedd")
    until(partial(_answers, backend, backend_id))
    assert backend.poll([backend_id])[backend_id].state is RUNNING


def _answers(backend: object, backend_id: str) -> bool:
    try:
        backend.poll([backend_id])  # type: ignore[attr-defined]
    except BackendUnavailable:
        return False
    return True


def test_a_job_whose_shadow_dies_is_lost_and_never_started_again(system: "CondorSystem") -> None:
    backend = system.backend()
    job = system.submission()
    [backend_id] = submit(backend, job)
    until(partial(system.runs, job))
    assert system.pool.signal("shadow")
    assert until_state(backend, backend_id, GONE).reason == "node_died"
    until(lambda: not system.pool.run("condor_q", "-allusers", "-af", "ClusterId"))
    assert len(system.runs(job)) == 1


def test_a_held_job_runs_when_it_is_released(system: "CondorSystem") -> None:
    backend = system.backend()
    job, ahead = system.submission(), system.submission(cpus=system.cpus)
    [in_front] = submit(backend, ahead)
    until_state(backend, in_front, RUNNING)
    [backend_id] = submit(backend, job)
    number = backend_id.split("#")[1]
    system.pool.run("condor_hold", number)
    held = until_state(backend, backend_id, SightingState.HELD)
    assert (held.reason, held.cause) == (
        "An operator holds the job. HTCondor says: via condor_hold (by user nobody)",
        "held",
    )
    system.pool.run("condor_release", number)
    until_state(backend, backend_id, WAITING)
    backend.cancel([in_front])
    until_state(backend, backend_id, RUNNING)


def test_what_the_schedd_does_not_take_spoils_nothing_else(system: "CondorSystem") -> None:
    backend = system.backend()
    good, bad = system.submission(), system.submission(client_group="bad")
    limits = {"bad": "not;a;limit"}
    backend._form = dataclasses.replace(
        system.form, groups=dataclasses.replace(system.form.groups, concurrency_limits=limits)
    )
    outcome = backend.submit([good, bad])
    assert isinstance(outcome[good.tag], Accepted)
    refused = outcome[bad.tag]
    assert isinstance(refused, Refused)
    assert not refused.transient
    assert "Invalid concurrency limit" in refused.message


def test_a_limit_of_the_pool_keeps_a_job_waiting_and_is_named(system: "CondorSystem") -> None:
    backend = system.backend()
    limits = {"": "ee_test"}
    backend._form = dataclasses.replace(
        system.form, groups=dataclasses.replace(system.form.groups, concurrency_limits=limits)
    )
    first, second = submit(backend, system.submission(), system.submission())
    until_state(backend, first, RUNNING)
    until(lambda: backend.poll([second])[second].reason == "A concurrency limit of the pool is reached.")


def test_users_are_told_apart_for_fair_share(system: "CondorSystem") -> None:
    backend = system.backend()
    backend._form = dataclasses.replace(
        system.form, groups=dataclasses.replace(system.form.groups, accounting_groups={"": "group_kbase.narrative"})
    )
    submit(backend, system.submission(user="alice"), system.submission(user="no such @user"))
    shares = system.pool.run("condor_q", "-allusers", "-af", "AccountingGroup").split()
    assert sorted(shares) == ["group_kbase.narrative.alice", "group_kbase.narrative.no_such__user"]


def test_the_ticket_is_private_on_its_way_and_nothing_of_it_stays(
    system: "CondorSystem", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = system.backend()
    job = system.submission()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    submit(backend, job)
    assert list(tmp_path.glob("ee-tickets-*")) == []
    [run] = until(partial(system.runs, job))
    pid = run["pids"][0]
    ticket = Path(f"/proc/{pid}/cwd/ticket")
    assert ticket.read_text() == job.ticket
    assert ticket.stat().st_mode & 0o777 == 0o600
    ad = system.pool.run("condor_q", "-allusers", "-l")
    assert "EE_ATTEMPT_TAG" in ad
    assert job.ticket not in ad


def test_another_engines_jobs_are_none_of_ours(system: "CondorSystem") -> None:
    ours, theirs = system.backend(), system.backend()
    theirs._form = dataclasses.replace(system.form, engine="another")
    job = system.submission()
    [backend_id] = submit(theirs, job)
    assert ours.queue() == []
    assert [entry.backend_id for entry in theirs.queue()] == [backend_id]
    assert ours.poll([backend_id])[backend_id].state in (WAITING, RUNNING)


def test_ids_of_another_schedd_are_not_taken_for_lost_ones(system: "CondorSystem") -> None:
    backend = system.backend()
    ours, theirs = f"{system.pool.schedd}#99999.0#1", "elsewhere.example.org#1.0#1"
    seen = backend.poll([ours, theirs])
    assert seen[ours].state is GONE
    assert seen[theirs].state is SightingState.UNKNOWN
    assert "elsewhere.example.org" in str(seen[theirs].reason)


def test_without_a_token_that_the_pool_knows_it_says_so(system: "CondorSystem", tmp_path: Path) -> None:
    from execution_engine.backends.condor.backend import CondorBackend  # noqa: PLC0415
    from execution_engine.backends.condor.connection import Connection  # noqa: PLC0415

    connection = Connection(system.pool.collector, system.pool.schedd, str(tmp_path))
    backend = CondorBackend("pool", connection, system.form)
    with pytest.raises(BackendUnavailable, match="HTCondor of the backend pool can't be used: its collector"):
        backend.find([system.submission().tag])
    connection.close()


def test_a_schedd_that_nobody_knows_is_named(system: "CondorSystem") -> None:
    from execution_engine.backends.condor.backend import CondorBackend  # noqa: PLC0415
    from execution_engine.backends.condor.connection import Connection  # noqa: PLC0415

    connection = Connection(system.pool.collector, "nobody.example.org", str(system.pool.tokens))
    backend = CondorBackend("pool", connection, system.form)
    tag = system.submission().tag
    with pytest.raises(BackendUnavailable, match=r"its collector knows no schedd nobody\.example\.org"):
        backend.find([tag])
    connection.close()
    assert system.backend().find([tag]) == {tag: Absent()}
