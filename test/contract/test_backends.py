"""What the engine relies on, whatever the kind of the backend."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from awe_system import LastAweSystem, OldAweSystem
from local_system import LocalSystem
from slurm_system import SlurmByCommands, SlurmByRest
from system import System, alive, submit, until, until_state

from execution_engine.backends.base import Absent, Accepted, Backend, Found, Refused, SightingState, Submission, Unknown
from execution_engine.core.errors import BackendUnavailable

WAITING, RUNNING, GONE = SightingState.WAITING, SightingState.RUNNING, SightingState.GONE
Make = Callable[[pytest.FixtureRequest, Path], System]


def _condor(request: pytest.FixtureRequest, folder: Path) -> System:
    pytest.importorskip("htcondor2", reason="HTCondor's Python library is missing: make .venv/installed-dev")
    from condor_system import CondorSystem  # noqa: PLC0415

    return CondorSystem(folder, request.getfixturevalue("condor_pool"))


SYSTEMS: dict[str, Make] = {
    "local": lambda _, folder: LocalSystem(folder),
    "awe-0.9.26": lambda _, folder: OldAweSystem(folder),
    "awe-0.9.68": lambda _, folder: LastAweSystem(folder),
    "slurm-commands": lambda request, folder: SlurmByCommands(folder, request.getfixturevalue("slurm_cluster")),
    "slurm-rest": lambda request, folder: SlurmByRest(folder, request.getfixturevalue("slurm_cluster")),
    "condor": _condor,
}
HOSTILE = 'it\'s "a" `name`; $(touch bad) $HOME @me %s \\ é 漢 \t and\na new line'


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    system = SYSTEMS[request.param](request, tmp_path)
    yield system
    system.end()


def test_many_are_submitted_in_one_call_and_each_runs_once(system: System) -> None:
    backend = system.backend()
    jobs = [system.submission() for _ in range(30)]
    for job in jobs:
        system.tell(job, "finish", "0")
    outcome = backend.submit(jobs)
    assert outcome.keys() == {job.tag for job in jobs}
    ids = {accepted.backend_id for accepted in outcome.values() if isinstance(accepted, Accepted)}
    assert len(ids) == 30
    until(lambda: {sighting.state for sighting in backend.poll(ids).values()} == {GONE}, seconds=120)
    for job in jobs:
        [run] = system.runs(job)
        assert run["ticket"] == job.ticket
        assert run["options"]["--job"] == job.job_id
        assert run["options"]["--attempt"] == "1"
        assert run["environment"]["EE_ATTEMPT_TAG"] == job.tag


def test_the_ticket_is_in_no_command_line_and_no_environment(system: System) -> None:
    job = system.submission()
    submit(system.backend(), job)
    [run] = until(partial(system.runs, job))
    assert job.ticket not in str(run["options"]) + str(run["environment"])


def test_a_runner_gets_nothing_of_the_engines_own_environment(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EE_TOKEN_KEY", "the key to all tokens")
    job = system.submission()
    submit(system.backend(), job)
    [run] = until(partial(system.runs, job))
    assert "EE_TOKEN_KEY" not in run["environment"]


def test_the_same_submission_again_is_the_same_attempt(system: System) -> None:
    backend = system.backend()
    job = system.submission()
    [known] = submit(backend, job)
    until_state(backend, known, RUNNING)
    assert submit(backend, job, job) == [known, known]
    system.tell(job, "finish", "0")
    until_state(backend, known, GONE)
    assert submit(backend, job) == [known]
    assert backend.poll([known])[known].state is GONE
    assert len(system.runs(job)) == 1


def test_find_tells_present_ended_and_absent_apart(system: System) -> None:
    backend = system.backend()
    present, ended, never = (system.submission() for _ in range(3))
    ended_id, present_id = submit(backend, ended, present)
    system.tell(ended, "finish", "0")
    until_state(backend, ended_id, GONE)
    found = backend.find([present.tag, ended.tag, never.tag])
    assert found == {present.tag: Found(present_id), ended.tag: Found(ended_id), never.tag: Absent()}


def test_find_says_what_the_system_can_not_say(system: System) -> None:
    backend = system.backend()
    present, hidden = system.submission(), system.submission()
    [present_id] = submit(backend, present)
    system.hide(hidden)
    found = backend.find([present.tag, hidden.tag])
    assert found[present.tag] == Found(present_id)
    unknown = found[hidden.tag]
    assert isinstance(unknown, Unknown)
    assert unknown.reason


def test_one_poll_sees_many_in_all_states(system: System) -> None:
    backend = system.backend()
    well, badly, running = (system.submission() for _ in range(3))
    ids = submit(backend, well, badly, running)
    system.tell(well, "finish", "0")
    system.tell(badly, "finish", "7")
    for backend_id, state in zip(ids, (GONE, GONE, RUNNING), strict=True):
        until_state(backend, backend_id, state)
    ids += submit(backend, system.submission(cpus=system.cpus))
    seen = [backend.poll(ids)[backend_id] for backend_id in ids]
    assert [sighting.state for sighting in seen] == [GONE, GONE, RUNNING, WAITING]
    assert [sighting.exit_code for sighting in seen] == [0, 7, None, None]
    assert seen[2].host
    assert seen[3].reason


def test_poll_answers_for_every_id(system: System) -> None:
    backend = system.backend()
    assert backend.poll([]) == {}
    names = [system.submission().tag, "../../etc", "", HOSTILE]
    seen = backend.poll(names)
    assert seen.keys() == set(names)
    assert {sighting.state for sighting in seen.values()} <= {GONE, SightingState.UNKNOWN}


def test_cancel_stops_what_runs_and_keeps_what_waits_from_starting(system: System) -> None:
    backend = system.backend()
    running, waiting, kept = (system.submission(cpus=system.cpus) for _ in range(3))
    system.tell(running, "app")
    running_id, waiting_id, kept_id = submit(backend, running, waiting, kept)
    [run] = until(partial(system.runs, running))
    assert len(alive(run["pids"])) == 2
    backend.cancel([running_id, waiting_id])
    assert until_state(backend, running_id, GONE).reason == "cancelled"
    assert alive(run["pids"]) == []
    assert until_state(backend, waiting_id, GONE).reason == "cancelled_before_start"
    until_state(backend, kept_id, RUNNING)
    assert system.runs(waiting) == []


def test_cancel_of_ended_unknown_and_cancelled_ones_does_nothing(system: System) -> None:
    backend = system.backend()
    ended, cancelled, never = (system.submission() for _ in range(3))
    ended_id, cancelled_id = submit(backend, ended, cancelled)
    system.tell(ended, "finish", "0")
    last_word = until_state(backend, ended_id, GONE)
    for _ in range(2):
        backend.cancel([ended_id, cancelled_id, never.tag, HOSTILE])
    until_state(backend, cancelled_id, GONE)
    assert backend.poll([ended_id])[ended_id] == last_word


def test_resources_and_queue_show_what_is_taken_and_in_which_order_the_rest_will_start(system: System) -> None:
    backend = system.backend()
    [running] = submit(backend, system.submission(cpus=system.cpus - 1, memory_mb=600, client_group="bigmem"))
    until_state(backend, running, RUNNING)
    first, second = submit(backend, system.submission(cpus=2), system.submission(cpus=2))
    until(lambda: backend.resources().cpus_used)  # what machines say of themselves may be some seconds old
    resources = backend.resources()
    assert (resources.cpus_total, resources.memory_mb_total) == (system.cpus, system.memory_mb)
    assert resources.cpus_used == (system.cpus - 1 if system.packs else system.cpus)
    assert 600 <= resources.memory_mb_used < (1000 if system.packs else system.memory_mb + 1)
    assert (resources.running, resources.waiting) == (1, 2)
    assert [(entry.backend_id, entry.state, entry.position, entry.client_group) for entry in backend.queue()] == [
        (first, WAITING, 1, "njs"),
        (second, WAITING, 2, "njs"),
        (running, RUNNING, None, "bigmem"),
    ]


def test_ended_ones_leave_the_queue_and_those_that_run_are_not_forgotten(system: System) -> None:
    backend = system.backend()
    ended, running = system.submission(), system.submission()
    ended_id, running_id = submit(backend, ended, running)
    system.tell(ended, "finish", "0")
    until_state(backend, ended_id, GONE)
    until_state(backend, running_id, RUNNING)
    assert [entry.tag for entry in backend.queue()] == [running.tag]
    backend.forget([ended_id, running_id, "../signs"])
    remains = Absent() if system.forgets else Found(ended_id)
    assert backend.find([ended.tag, running.tag]) == {ended.tag: remains, running.tag: Found(running_id)}
    assert backend.poll([running_id])[running_id].state is RUNNING
    assert system.signs.is_dir()


def test_a_job_that_can_never_fit_is_refused_for_good_and_the_others_are_taken(system: System) -> None:
    backend = system.backend()
    wide, fat = system.submission(cpus=system.cpus + 1), system.submission(memory_mb=system.memory_mb + 1)
    fitting = system.submission()
    outcome = backend.submit([wide, fat, fitting])
    for job, available in ((wide, system.cpus), (fat, system.memory_mb)):
        refused = outcome[job.tag]
        assert isinstance(refused, Refused)
        assert not refused.transient
        assert str(available + 1) in refused.message
        assert str(available) in refused.message.replace(str(available + 1), "")
    assert isinstance(outcome[fitting.tag], Accepted)


@pytest.mark.parametrize("tag", [HOSTILE, "", "..", "a/b", "ee.0123456789abcdef01234567.1\n", "ended"])
def test_a_tag_that_is_none_is_refused_and_absent(system: System, tag: str) -> None:
    backend = system.backend()
    outcome = backend.submit([system.submission(tag=tag)])[tag]
    assert isinstance(outcome, Refused)
    assert not outcome.transient
    assert backend.find([tag]) == {tag: Absent()}
    assert backend.queue() == []


def test_names_and_values_arrive_as_they_are_and_are_never_executed(system: System, tmp_path: Path) -> None:
    hostile = system.with_signs(HOSTILE.replace("/", ""))
    backend = hostile.backend()
    job = hostile.submission(client_group=HOSTILE, ticket="eet_'$(touch bad)\"")
    submit(backend, job)
    [run] = until(partial(hostile.runs, job))
    hostile.end()
    assert run["options"]["--url"] == str(hostile.signs)
    assert run["ticket"] == job.ticket
    assert list(tmp_path.rglob("bad")) == []


CALLS: dict[str, Callable[[Backend, Submission, str], object]] = {
    "submit": lambda backend, job, _: backend.submit([job]),
    "poll": lambda backend, _, backend_id: backend.poll([backend_id]),
    "find": lambda backend, job, _: backend.find([job.tag]),
    "cancel": lambda backend, _, backend_id: backend.cancel([backend_id]),
    "resources": lambda backend, *_: backend.resources(),
    "queue": lambda backend, *_: backend.queue(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_system_that_is_down_says_so_in_plain_words_and_recovers(system: System, call: str) -> None:
    backend = system.backend()
    job = system.submission()
    [backend_id] = submit(backend, job)
    until_state(backend, backend_id, RUNNING)
    system.break_down()
    with pytest.raises(BackendUnavailable, match=f"the backend {backend.name} can't be used: "):
        CALLS[call](backend, job, backend_id)
    system.repair()
    assert backend.poll([backend_id])[backend_id].state is RUNNING


def test_a_backend_can_be_made_while_its_system_is_down(system: System) -> None:
    system.backend()
    system.break_down()
    backend = system.backend()
    with pytest.raises(BackendUnavailable):
        backend.resources()
    system.repair()
    assert backend.resources().running == 0


def test_a_new_instance_goes_on_where_the_old_one_stopped(system: System) -> None:
    at_once = 2 if system.packs else 1
    jobs = [system.submission(cpus=system.cpus // at_once) for _ in range(at_once + 1)]
    first = system.backend()
    ids = submit(first, *jobs)
    until(lambda: all(system.runs(job) for job in jobs[:at_once]))
    second = system.backend()
    assert [sighting.state for sighting in second.poll(ids).values()] == [RUNNING] * at_once + [WAITING]
    system.tell(jobs[0], "finish", "3")
    assert until_state(second, ids[0], GONE).exit_code == 3
    until_state(second, ids[-1], RUNNING)
    until(partial(system.runs, jobs[-1]))
    assert [len(system.runs(job)) for job in jobs] == [1] * len(jobs)
