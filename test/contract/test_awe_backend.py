"""What the AWE backend defends itself against: AWE itself, its network, and people who use AWE beside the engine."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from awe_system import DELAYS, AweSystem, LastAweSystem, OldAweSystem
from system import alive, submit, until, until_state

from execution_engine.backends.awe import AweBackend
from execution_engine.backends.awe.options import AweOptions
from execution_engine.backends.base import Absent, Accepted, Found, Refused, SightingState, Unknown
from execution_engine.core.errors import BackendUnavailable
from test.awe_simulator.worker import split_arguments

WAITING, RUNNING, HELD = SightingState.WAITING, SightingState.RUNNING, SightingState.HELD
GONE, UNKNOWN = SightingState.GONE, SightingState.UNKNOWN


@pytest.fixture(params=[OldAweSystem, LastAweSystem], ids=lambda system: system.version)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AweSystem]:
    system = request.param(tmp_path)
    yield system
    system.end()


def busy(system: AweSystem, backend: AweBackend) -> str:
    """The id of a job that has taken the only worker."""
    job = system.submission()
    [running] = submit(backend, job)
    until(partial(system.runs, job))
    until_state(backend, running, RUNNING)
    return running


def changes(system: AweSystem, job_id: str) -> list[str]:
    """What was asked for, for this job, beyond looking."""
    asked = [request for request in system.site.server.requests if job_id in request]
    return [request.replace(f"/job/{job_id}", "").strip() for request in asked if not request.startswith("GET")]


def test_what_waits_is_suspended_and_deleted_in_one_call(system: AweSystem) -> None:
    backend = system.backend()
    busy(system, backend)
    [waiting] = submit(backend, system.submission())
    backend.cancel([waiting])
    assert changes(system, waiting) == ["PUT ?suspend", "DELETE"]


def test_what_runs_is_deleted_only_when_its_worker_has_dropped_it(system: AweSystem) -> None:
    backend = system.backend()
    running = busy(system, backend)
    backend.cancel([running])
    until_state(backend, running, GONE)
    assert changes(system, running) == ["PUT ?suspend", "DELETE"]
    assert system.site.state.torn == []
    submit(backend, next_one := system.submission())
    until(partial(system.runs, next_one))


def test_ended_jobs_are_neither_suspended_nor_deleted(system: AweSystem) -> None:
    backend = system.backend()
    ended = [system.submission(), system.submission()]
    ids = submit(backend, *ended)
    for job, code in zip(ended, "07", strict=True):
        system.tell(job, "finish", code)
    for one in ids:
        until_state(backend, one, GONE)
    backend.cancel(ids)
    assert [changes(system, one) for one in ids] == [[], []]
    assert backend.queue() == []


def test_a_cancel_goes_on_in_a_new_engine_that_asks_for_it_too(system: AweSystem) -> None:
    running = busy(system, system.backend())
    system.backend().cancel([running])
    second = system.backend()
    second.cancel([running])
    assert until_state(second, running, GONE).reason == "cancelled"
    assert changes(system, running) == ["PUT ?suspend", "DELETE"]


def test_a_lost_answer_to_a_submission_leaves_one_job(system: AweSystem) -> None:
    backend = system.backend()
    first, second = system.submission(), system.submission()
    system.site.server.weather = "mute to posts"
    outcome = backend.submit([first, second])
    assert isinstance(outcome[first.tag], Accepted), "it is found by its tag at once"
    assert isinstance(outcome[second.tag], Refused), "it was never sent"
    assert outcome[second.tag].transient
    system.site.server.weather = "fair"
    assert backend.find([first.tag, second.tag]) == {
        first.tag: Found(outcome[first.tag].backend_id),
        second.tag: Absent(),
    }
    assert len(system.site.state.jobs) == 1


def test_a_submission_whose_fate_can_not_be_learned_is_unknown(system: AweSystem) -> None:
    backend = system.backend()
    job = system.submission()
    system.site.server.weather = "dead after a post"
    assert isinstance(backend.submit([job])[job.tag], Unknown)
    system.site.server.weather = "fair"
    assert isinstance(backend.find([job.tag])[job.tag], Found)


@pytest.mark.parametrize("begun", [True, False])
def test_of_two_jobs_of_a_tag_the_older_is_adopted_and_the_other_ended(system: AweSystem, begun: bool) -> None:
    backend = system.backend()
    if not begun:
        busy(system, backend)
    job = system.submission()
    [oldest] = submit(backend, job)
    extra = system.site.post_again(oldest)
    if begun:
        system.site.add_worker("kbase")
        until(lambda: len(system.runs(job)) == 2)
    assert backend.find([job.tag]) == {job.tag: Found(oldest)}
    assert submit(backend, job) == [oldest]
    until_state(backend, extra, GONE)
    assert changes(system, extra) == ["PUT ?suspend", "DELETE"]
    assert changes(system, oldest) == []
    assert [entry.backend_id for entry in backend.queue() if entry.tag == job.tag] == [oldest]


def test_lists_are_longer_than_a_page(system: AweSystem) -> None:
    backend = system.backend()
    busy(system, backend)
    jobs = [system.submission() for _ in range(130)]
    ids = submit(backend, *jobs)
    assert {sighting.state for sighting in backend.poll(ids).values()} == {WAITING}
    assert list(backend.find([job.tag for job in jobs]).values()) == [Found(one) for one in ids]
    assert [entry.position for entry in backend.queue()] == [*range(1, 131), None]
    assert [entry.backend_id for entry in backend.queue()][:130] == ids
    assert backend.resources().waiting == 130
    lists = [request for request in system.site.server.requests if request.startswith("GET /job?query")]
    assert len(lists) < 40


def test_jobs_of_others_stand_in_line_too_and_are_left_alone(system: AweSystem) -> None:
    backend = system.backend()
    running = busy(system, backend)
    foreign = system.site.post(
        {"info": {"clientgroups": "kbase", "pipeline": "MG-RAST"}, "tasks": [{"cmd": {"name": "x"}}]}
    )
    [ours] = submit(backend, system.submission())
    assert [(entry.backend_id, entry.position) for entry in backend.queue()] == [(ours, 2), (running, None)]
    assert foreign not in [entry.backend_id for entry in backend.queue()]


def test_another_engine_on_the_same_awe_is_not_seen(system: AweSystem) -> None:
    mine, theirs = system.backend(), system.backend(pipeline="another engine")
    [one] = submit(mine, system.submission())
    assert theirs.queue() == []
    assert [entry.backend_id for entry in mine.queue()] == [one]


def test_the_ticket_is_in_no_document(system: AweSystem) -> None:
    backend = system.backend()
    job = system.submission()
    [job_id] = submit(backend, job)
    until(partial(system.runs, job))
    for path in (f"/job/{job_id}", "/job?query", "/client", f"/work/{job_id}_0_0?report=stdout"):
        assert job.ticket not in requests.get(system.site.server.url + path, timeout=5).text
    [work] = (system.folder / "awe" / "work").rglob("ee-ticket")
    assert work.stat().st_mode & 0o077 == 0


def test_no_process_has_the_ticket_in_its_environment(system: AweSystem) -> None:
    backend = system.backend()
    job = system.submission()
    submit(backend, job)
    until(partial(system.runs, job))
    held = []
    for process in Path("/proc").glob("[0-9]*/environ"):
        try:
            held += [process] if job.ticket.encode() in process.read_bytes() else []
        except OSError:
            continue
    assert held == []


# --- people who use AWE beside the engine


def test_a_waiting_job_that_somebody_suspends_is_held_and_goes_on_when_resumed(system: AweSystem) -> None:
    backend = system.backend()
    busy(system, backend)
    [waiting] = submit(backend, system.submission())
    system.ask("PUT", f"/job/{waiting}?suspend")
    assert backend.poll([waiting])[waiting].state is HELD
    assert {entry.backend_id: entry.state for entry in backend.queue()}[waiting] is HELD
    system.ask("PUT", f"/job/{waiting}?resume")
    assert backend.poll([waiting])[waiting].state is WAITING


def test_a_runner_that_is_killed_takes_its_app_along(system: AweSystem) -> None:
    backend = system.backend()
    job = system.submission()
    system.tell(job, "app")
    [running] = submit(backend, job)
    [run] = until(partial(system.runs, job))
    os.kill(run["pids"][0], signal.SIGKILL)
    assert until_state(backend, running, GONE).exit_code == 137
    assert alive(run["pids"]) == []


def test_a_running_job_that_somebody_suspends_is_gone_with_all_its_processes(system: AweSystem) -> None:
    backend = system.backend()
    job = system.submission()
    system.tell(job, "app")
    [running] = submit(backend, job)
    [run] = until(partial(system.runs, job))
    system.ask("PUT", f"/job/{running}?suspend")
    assert until_state(backend, running, GONE).reason == "runner_stopped"
    assert alive(run["pids"]) == []


def test_a_running_job_that_somebody_deletes_runs_on(system: AweSystem) -> None:
    backend = system.backend()
    running = busy(system, backend)
    until(lambda: system.site.workers[0].client.current)
    system.ask("DELETE", f"/job/{running}")
    assert system.site.state.torn == [running]
    seen = backend.poll([running])[running]
    assert seen.state is RUNNING
    assert "deleted in AWE while it ran" in seen.reason


def test_a_completed_job_that_somebody_suspends_and_resumes_stays_ended(system: AweSystem) -> None:
    backend = system.backend()
    job = system.submission()
    system.tell(job, "finish", "0")
    [ended] = submit(backend, job)
    last_word = until_state(backend, ended, GONE)
    for operation in ("suspend", "resume"):
        system.ask("PUT", f"/job/{ended}?{operation}")
        assert backend.poll([ended])[ended] == last_word
    assert backend.queue() == []


def test_a_job_that_was_removed_altogether_is_gone(system: AweSystem) -> None:
    backend = system.backend()
    busy(system, backend)
    [waiting] = submit(backend, system.submission())
    system.ask("DELETE", f"/job/{waiting}?full")
    assert backend.poll([waiting])[waiting].state is GONE


# --- workers and servers that die


def test_a_runner_outlives_its_worker(system: AweSystem) -> None:
    backend = system.backend()
    job = system.submission()
    [running] = submit(backend, job)
    [run] = until(partial(system.runs, job))
    worker = system.site.workers[0]
    worker.kill()
    system.site.state.drop_client(worker.client.id)
    assert backend.poll([running])[running].state is RUNNING
    assert len(alive(run["pids"])) == 1
    system.tell(job, "finish", "3")
    system.site.add_worker("kbase")  # runs it once more, which a real engine refuses: exit code 3
    until(lambda: len(system.runs(job)) == 2)
    until_state(backend, running, UNKNOWN)
    assert until_state(backend, running, GONE).reason == "runner_lost"


def test_a_cancelled_job_is_not_waited_for_long_when_awe_has_lost_sight_of_it(system: AweSystem) -> None:
    backend = system.backend(delays=replace(DELAYS, lost=900.0))
    job = system.submission()
    system.tell(job, "finish", "3")
    [lost] = submit(backend, job)
    until_state(backend, lost, UNKNOWN)
    backend.cancel([lost])
    until_state(backend, lost, GONE)


def test_a_restart_with_recovery_keeps_what_waits(system: AweSystem) -> None:
    backend = system.backend()
    busy(system, backend)
    [waiting] = submit(backend, system.submission())
    system.site.state.restart(recover=True)
    assert backend.poll([waiting])[waiting].state is WAITING


def test_a_restart_without_recovery_holds_what_waits_and_it_can_be_cancelled(system: AweSystem) -> None:
    backend = system.backend()
    busy(system, backend)
    [waiting] = submit(backend, system.submission())
    system.site.state.restart(recover=False)
    until_state(backend, waiting, HELD)
    backend.cancel([waiting])
    assert until_state(backend, waiting, GONE).reason == "cancelled_before_start"


# --- the network, and AWE's rules


@pytest.mark.parametrize(
    ("weather", "problem"),
    [("slow", "no whole answer within 1 s"), ("mute", "the connection broke"), ("nonsense", "is not one of AWE's")],
)
def test_a_server_in_trouble_is_unavailable_in_time(system: AweSystem, weather: str, problem: str) -> None:
    backend = system.backend(timeout_seconds=1.0)
    system.site.server.weather = weather
    begun = time.monotonic()
    with pytest.raises(BackendUnavailable, match=problem):
        backend.find([system.submission().tag])
    assert time.monotonic() - begun < 2.5


def test_a_wrong_url_is_not_awe(system: AweSystem) -> None:
    elsewhere = AweBackend("awe", AweOptions(url=f"{system.site.server.url}/nosuch", worker_url="http://ee"))
    with pytest.raises(BackendUnavailable, match="not one of AWE's"):
        elsewhere.queue()


def test_an_account_is_used_read_anew_each_time_and_never_repeated(system: AweSystem, tmp_path: Path) -> None:
    system.site.server.anonymous = False
    token = tmp_path / "token"
    backend = system.backend(token_file=str(token))
    with pytest.raises(BackendUnavailable, match=r"the token file .* can't be read"):
        backend.queue()
    token.write_text("un=engine|client_id=engine|sig=forged\n")
    with pytest.raises(BackendUnavailable, match=r"refuses the engine's account \(Invalid Auth Header\)") as caught:
        backend.queue()
    assert "forged" not in str(caught.value)
    token.write_text("un=engine|client_id=engine|sig=ok\n")
    busy(system, backend)


def test_a_document_that_awe_does_not_take_is_refused_for_good(system: AweSystem) -> None:
    backend = system.backend()
    job = system.submission()
    system.site.server.weather = "eating documents"
    refused = backend.submit([job])[job.tag]
    assert isinstance(refused, Refused)
    assert not refused.transient
    assert "AWE refuses the job: " in refused.message


def test_arguments_lose_nothing_on_their_way() -> None:
    environment = {"HOME": "/root"}
    assert split_arguments("a 'b c' \"d e\" ${HOME} $HOME x@y", environment) == [
        *("a", "b c", '"d', 'e"', "/root", "$HOME")
    ]
    document: Any = "0123456789abcdef01234567 12"
    assert split_arguments(document, environment) == document.split()
