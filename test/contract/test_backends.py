"""What the engine relies on, whatever the kind of the backend."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from local_system import LocalSystem, alive, until, until_state

from execution_engine.backends.base import Absent, Accepted, Found, Refused, SightingState, Unknown
from execution_engine.core.errors import BackendUnavailable

WAITING, RUNNING, GONE = SightingState.WAITING, SightingState.RUNNING, SightingState.GONE
SYSTEMS = {"local": LocalSystem}
HOSTILE = 'it\'s "a" `name`; $(touch bad) $HOME @me %s \\ é 漢 \t and\na new line'


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalSystem]:
    system = SYSTEMS[request.param](tmp_path)
    yield system
    system.end()


def test_many_are_submitted_in_one_call_and_each_runs_once(system: LocalSystem) -> None:
    backend = system.backend(cpus=64)
    jobs = [system.submission() for _ in range(20)]
    assert backend.submit(jobs) == {job.tag: Accepted(job.tag) for job in jobs}
    for job in jobs:
        [run] = until(partial(system.runs, job))
        assert run["ticket"] == job.ticket
        assert run["options"]["--job"] == job.job_id
        assert run["options"]["--attempt"] == "1"
        assert run["environment"]["EE_ATTEMPT_TAG"] == job.tag


def test_the_ticket_is_in_no_command_line_and_no_environment(system: LocalSystem) -> None:
    backend = system.backend()
    job = system.submission()
    backend.submit([job])
    [run] = until(lambda: system.runs(job))
    assert job.ticket not in str(run["options"]) + str(run["environment"])


def test_a_runner_gets_nothing_of_the_engines_own_environment(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EE_TOKEN_KEY", "the key to all tokens")
    backend = system.backend()
    job = system.submission()
    backend.submit([job])
    [run] = until(lambda: system.runs(job))
    assert "EE_TOKEN_KEY" not in run["environment"]


def test_the_same_submission_again_is_the_same_attempt(system: LocalSystem) -> None:
    backend = system.backend()
    job = system.submission()
    backend.submit([job])
    until_state(backend, job, RUNNING)
    assert backend.submit([job, job]) == {job.tag: Accepted(job.tag)}
    system.tell(job, "finish", "0")
    until_state(backend, job, GONE)
    assert backend.submit([job]) == {job.tag: Accepted(job.tag)}
    assert backend.poll([job.tag])[job.tag].state is GONE
    assert len(system.runs(job)) == 1


def test_find_tells_present_ended_absent_and_unknown_apart(system: LocalSystem) -> None:
    backend = system.backend()
    present, ended, never, hidden = (system.submission() for _ in range(4))
    accepted = backend.submit([present, ended])
    system.tell(ended, "finish", "0")
    until_state(backend, ended, GONE)
    system.hide(hidden)
    found = backend.find([present.tag, ended.tag, never.tag, hidden.tag])
    assert found[present.tag] == Found(accepted[present.tag].backend_id)
    assert found[ended.tag] == Found(accepted[ended.tag].backend_id)
    assert found[never.tag] == Absent()
    assert isinstance(found[hidden.tag], Unknown)
    assert hidden.tag in found[hidden.tag].reason


def test_one_poll_sees_many_in_all_states(system: LocalSystem) -> None:
    backend = system.backend(cpus=3)
    well, badly, running, waiting = (system.submission() for _ in range(4))
    backend.submit([well, badly, running])
    system.tell(well, "finish", "0")
    system.tell(badly, "finish", "7")
    until_state(backend, well, GONE)
    until_state(backend, badly, GONE)
    until_state(backend, running, RUNNING)
    large = system.submission(cpus=3)
    backend.submit([large, waiting])
    seen = backend.poll([well.tag, badly.tag, running.tag, large.tag, waiting.tag])
    assert [seen[job.tag].state for job in (well, badly, running, large, waiting)] == [
        *(GONE, GONE, RUNNING),
        *(WAITING, WAITING),
    ]
    assert (seen[well.tag].exit_code, seen[badly.tag].exit_code) == (0, 7)
    assert "finishing as told" in seen[badly.tag].detail
    assert seen[running.tag].host
    assert seen[large.tag].reason == "Waits for 3 CPUs and 100 MB of memory; 2 CPUs and 7900 MB are free."
    assert seen[waiting.tag].reason == "Waits behind 1 other job for free CPUs and memory."


def test_poll_answers_for_every_id(system: LocalSystem) -> None:
    backend = system.backend()
    assert backend.poll([]) == {}
    never = system.submission()
    seen = backend.poll([never.tag, "../../etc", ""])
    assert seen[never.tag].state is GONE
    assert seen["../../etc"].state is SightingState.UNKNOWN
    assert seen[""].state is SightingState.UNKNOWN


def test_cancel_stops_what_runs_and_keeps_what_waits_from_starting(system: LocalSystem) -> None:
    backend = system.backend(cpus=1)
    running, waiting, kept = (system.submission() for _ in range(3))
    system.tell(running, "app")
    backend.submit([running, waiting, kept])
    [run] = until(lambda: system.runs(running))
    assert len(alive(run["pids"])) == 2
    backend.cancel([running.tag, waiting.tag])
    stopped = until_state(backend, running, GONE)
    assert (stopped.reason, stopped.exit_code) == ("cancelled", 4)
    assert alive(run["pids"]) == []
    assert until_state(backend, waiting, GONE).reason == "cancelled_before_start"
    until_state(backend, kept, RUNNING)
    assert system.runs(waiting) == []


def test_cancel_of_ended_unknown_and_cancelled_ones_does_nothing(system: LocalSystem) -> None:
    backend = system.backend()
    ended, cancelled, never = (system.submission() for _ in range(3))
    backend.submit([ended, cancelled])
    system.tell(ended, "finish", "0")
    last_word = until_state(backend, ended, GONE)
    for _ in range(2):
        backend.cancel([ended.tag, cancelled.tag, never.tag, "no tag"])
    until_state(backend, cancelled, GONE)
    assert backend.poll([ended.tag])[ended.tag] == last_word


def test_resources_and_queue_show_what_is_taken_and_in_which_order_the_rest_will_start(system: LocalSystem) -> None:
    backend = system.backend(cpus=4, memory_mb=1000)
    running = system.submission(cpus=3, memory_mb=600, client_group="bigmem")
    waiting = [system.submission(cpus=2, memory_mb=100) for _ in range(2)]
    backend.submit([running, *waiting])
    until_state(backend, running, RUNNING)
    resources = backend.resources()
    assert (resources.cpus_total, resources.cpus_used) == (4, 3)
    assert (resources.memory_mb_total, resources.memory_mb_used) == (1000, 600)
    assert (resources.slots_total, resources.slots_used) == (4, 3)
    assert (resources.running, resources.waiting) == (1, 2)
    assert [(entry.tag, entry.state, entry.position, entry.client_group) for entry in backend.queue()] == [
        (waiting[0].tag, WAITING, 1, "njs"),
        (waiting[1].tag, WAITING, 2, "njs"),
        (running.tag, RUNNING, None, "bigmem"),
    ]


def test_ended_ones_leave_the_queue_and_can_be_forgotten(system: LocalSystem) -> None:
    backend = system.backend()
    ended, running = system.submission(), system.submission()
    backend.submit([ended, running])
    system.tell(ended, "finish", "0")
    until_state(backend, ended, GONE)
    until_state(backend, running, RUNNING)
    assert [entry.tag for entry in backend.queue()] == [running.tag]
    backend.forget([ended.tag, running.tag, "../signs"])
    assert backend.find([ended.tag, running.tag]) == {ended.tag: Absent(), running.tag: Found(running.tag)}
    assert backend.poll([running.tag])[running.tag].state is RUNNING
    assert system.signs.is_dir()


def test_a_job_that_can_never_fit_is_refused_for_good_and_the_others_are_taken(system: LocalSystem) -> None:
    backend = system.backend(cpus=4, memory_mb=1000)
    wide, fat, fitting = system.submission(cpus=5), system.submission(memory_mb=1001), system.submission()
    outcome = backend.submit([wide, fat, fitting])
    assert outcome[wide.tag] == Refused(
        "The job asks for 5 CPUs, this machine gives jobs at most 4 CPUs.", transient=False
    )
    assert outcome[fat.tag] == Refused(
        "The job asks for 1001 MB of memory, this machine gives jobs at most 1000 MB.", transient=False
    )
    assert outcome[fitting.tag] == Accepted(fitting.tag)


@pytest.mark.parametrize("tag", [HOSTILE, "", "..", "a/b", "ee.0123456789abcdef01234567.1\n", "ended"])
def test_a_tag_that_is_none_is_refused(system: LocalSystem, tag: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    backend = system.backend()
    outcome = backend.submit([system.submission(tag=tag)])
    assert isinstance(outcome[tag], Refused)
    assert not outcome[tag].transient
    assert backend.find([tag]) == {tag: Absent()}
    assert backend.queue() == []
    assert sorted(tmp_path.iterdir()) in (before, sorted([*before, tmp_path / "local"]))


def test_names_and_values_arrive_as_they_are_and_are_never_executed(system: LocalSystem, tmp_path: Path) -> None:
    hostile = type(system)(tmp_path, HOSTILE.replace("/", ""))
    backend = hostile.backend()
    job = hostile.submission(client_group=HOSTILE, ticket="eet_'$(touch bad)\"")
    backend.submit([job])
    [run] = until(lambda: hostile.runs(job))
    assert run["options"]["--url"] == str(hostile.signs)
    assert run["ticket"] == job.ticket
    assert [entry.client_group for entry in backend.queue()] == [HOSTILE]
    assert list(tmp_path.rglob("bad")) == []
    hostile.end()


CALLS: dict[str, Callable[[Any, Any], object]] = {
    "submit": lambda backend, job: backend.submit([job]),
    "poll": lambda backend, job: backend.poll([job.tag]),
    "find": lambda backend, job: backend.find([job.tag]),
    "cancel": lambda backend, job: backend.cancel([job.tag]),
    "resources": lambda backend, job: backend.resources(),
    "queue": lambda backend, job: backend.queue(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_system_that_is_down_says_so_in_plain_words_and_recovers(system: LocalSystem, call: str) -> None:
    backend = system.backend()
    job = system.submission()
    backend.submit([job])
    until_state(backend, job, RUNNING)
    system.break_down()
    with pytest.raises(
        BackendUnavailable, match=r"The folder .* of the backend local can't be used: Not a directory\."
    ):
        CALLS[call](backend, job)
    system.repair()
    assert backend.poll([job.tag])[job.tag].state is RUNNING


def test_a_backend_can_be_made_while_its_system_is_down(system: LocalSystem) -> None:
    system.backend()
    system.break_down()
    backend = system.backend()
    with pytest.raises(BackendUnavailable):
        backend.resources()
    system.repair()
    assert backend.resources().running == 0


def test_a_new_instance_goes_on_where_the_old_one_stopped(system: LocalSystem) -> None:
    jobs = [system.submission() for _ in range(3)]
    first = system.backend(cpus=2)
    first.submit(jobs)
    until(lambda: system.runs(jobs[0]) and system.runs(jobs[1]))
    second = system.backend(cpus=2)
    states = [sighting.state for sighting in second.poll([job.tag for job in jobs]).values()]
    assert states == [RUNNING, RUNNING, WAITING]
    system.tell(jobs[0], "finish", "3")
    assert until_state(second, jobs[0], GONE).exit_code == 3
    until_state(second, jobs[2], RUNNING)
    assert [len(system.runs(job)) for job in jobs] == [1, 1, 1]


def test_stop_all_ends_what_runs_and_starts_nothing_more(system: LocalSystem) -> None:
    backend = system.backend(cpus=2)
    running = [system.submission() for _ in range(2)]
    waiting = system.submission()
    backend.submit([*running, waiting])
    pids = [pid for job in running for pid in until(partial(system.runs, job))[0]["pids"]]
    backend.stop_all(timeout_seconds=20)
    assert alive(pids) == []
    assert backend.poll([waiting.tag])[waiting.tag].state is WAITING
    assert system.runs(waiting) == []
    successor = system.backend(cpus=2)
    seen = successor.poll([job.tag for job in running])
    assert {sighting.reason for sighting in seen.values()} == {"engine_stopped"}
    until_state(successor, waiting, RUNNING)
