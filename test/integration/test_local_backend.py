import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from local_system import LocalSystem, alive, submit, until, until_state

from execution_engine.backends.base import Accepted, Refused, Sighting, SightingState, Submission
from execution_engine.backends.local import LocalBackend, job, table
from execution_engine.backends.local.job_folder import JobFolder, JobSpec
from execution_engine.core.errors import ConfigurationError

WAITING, RUNNING, GONE = SightingState.WAITING, SightingState.RUNNING, SightingState.GONE
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch to another account; run as root")


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalSystem]:
    system = LocalSystem(tmp_path)
    yield system
    system.end()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Where every account can go; pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


# --- order


def test_small_jobs_do_not_pass_a_large_one(system: LocalSystem) -> None:
    backend = system.backend(cpus=4)
    first, large, small = system.submission(cpus=2), system.submission(cpus=4), system.submission(cpus=1)
    ids = submit(backend, first, large, small)
    until_state(backend, ids[0], RUNNING)
    seen = backend.poll(ids)
    assert seen[ids[1]].reason == "Waits for 4 CPUs and 100 MB of memory; 2 CPUs and 7900 MB are free."
    assert seen[ids[2]].reason == "Waits behind 1 other job for free CPUs and memory."
    system.tell(first, "finish", "0")
    until_state(backend, ids[1], RUNNING)
    assert backend.poll(ids)[ids[2]].state is WAITING
    system.tell(large, "finish", "0")
    until_state(backend, ids[2], RUNNING)


def test_the_order_survives_a_restart(system: LocalSystem) -> None:
    backend = system.backend(cpus=1)
    ids = submit(backend, *(system.submission() for _ in range(5)))
    until_state(backend, ids[0], RUNNING)
    assert [entry.backend_id for entry in system.backend(cpus=1).queue()] == [*ids[1:], ids[0]]


# --- stopping


def test_a_runner_that_does_not_stop_is_killed_after_the_grace(system: LocalSystem) -> None:
    backend = system.backend(cancel_grace_seconds=0.2)
    stubborn = system.submission()
    system.tell(stubborn, "stubborn")
    system.tell(stubborn, "app")
    [stubborn_id] = submit(backend, stubborn)
    [run] = until(partial(system.runs, stubborn))
    backend.cancel([stubborn_id])
    gone = until_state(backend, stubborn_id, GONE)
    assert (gone.reason, gone.signal, gone.exit_code) == ("cancelled", 9, None)
    assert gone.detail == "The runner was ended by SIGKILL."
    assert alive(run["pids"]) == []


def test_a_cancel_is_carried_out_by_the_next_engine(system: LocalSystem) -> None:
    stubborn = system.submission()
    system.tell(stubborn, "stubborn")
    first = system.backend()
    [stubborn_id] = submit(first, stubborn)
    until(partial(system.runs, stubborn))
    first.cancel([stubborn_id])
    assert until_state(system.backend(cancel_grace_seconds=0.1), stubborn_id, GONE).reason == "cancelled"


def test_a_runner_that_overlooks_the_time_limit_is_stopped(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_LIMIT_MARGIN_SECONDS", 0.0)
    backend = system.backend()
    limited, unlimited = system.submission(time_limit_s=0), system.submission()
    limited_id, unlimited_id = submit(backend, limited, unlimited)
    assert until_state(backend, limited_id, GONE).reason == "time_limit"
    assert until_state(backend, unlimited_id, RUNNING).reason is None


def test_stop_all_ends_what_runs_and_starts_nothing_more(system: LocalSystem) -> None:
    backend = system.backend(cpus=2)
    well, stubborn, waiting = (system.submission() for _ in range(3))
    system.tell(stubborn, "stubborn")
    ids = submit(backend, well, stubborn, waiting)
    pids = [pid for one in (well, stubborn) for pid in until(partial(system.runs, one))[0]["pids"]]
    backend.stop_all(timeout_seconds=0.5)
    assert alive(pids) == []
    assert [sighting.state for sighting in backend.poll(ids).values()] == [GONE, GONE, WAITING]
    successor = system.backend(cpus=2)
    assert [successor.poll(ids)[one].reason for one in ids[:2]] == ["engine_stopped", "engine_stopped"]
    until_state(successor, ids[2], RUNNING)


def test_stop_all_of_a_new_engine_does_not_start_what_the_old_one_accepted(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = system.submission()
    with monkeypatch.context() as patch:
        patch.setattr(table.JobTable, "_start_waiting", lambda _: None)
        submit(system.backend(), waiting)
    stopping = system.backend()
    stopping.stop_all(timeout_seconds=20)
    assert stopping.poll([waiting.tag])[waiting.tag].state is WAITING
    assert system.runs(waiting) == []
    until_state(system.backend(), waiting.tag, RUNNING)


# --- troubles of the machine


def test_a_full_disk_refuses_for_now_and_keeps_what_was_accepted(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = system.backend()
    jobs = [system.submission() for _ in range(3)]
    fill = JobFolder.fill

    def full(folder: JobFolder, spec: JobSpec, ticket: str) -> None:
        if folder.path.name.startswith(jobs[0].tag):
            fill(folder, spec, ticket)
        else:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(JobFolder, "fill", full)
    outcome = backend.submit(jobs)
    assert outcome.pop(jobs[0].tag) == Accepted(jobs[0].tag)
    for refused in outcome.values():
        assert isinstance(refused, Refused)
        assert refused.transient
        assert "No space left on device" in refused.message
    assert backend.submit(jobs[1:]) == outcome
    assert list((system.spool / "incoming").iterdir()) == []
    monkeypatch.undo()
    assert submit(backend, *jobs[1:]) == [jobs[1].tag, jobs[2].tag]


def test_an_end_is_confirmed_although_the_disk_is_full(system: LocalSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: JobFolder, __: Sighting) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    backend = system.backend(cpus=1)
    first, second = system.submission(), system.submission()
    first_id, second_id = submit(backend, first, second)
    with monkeypatch.context() as patch:
        patch.setattr(JobFolder, "set_gone", full)
        system.tell(first, "finish", "5")
        assert until_state(backend, first_id, GONE).exit_code == 5
        until_state(backend, second_id, RUNNING)
    assert backend.poll([first_id])[first_id].exit_code == 5
    assert system.backend().poll([first_id])[first_id].exit_code == 5
    assert not (system.spool / first_id).exists()


def test_a_machine_that_starts_no_processes_keeps_the_job_waiting_and_says_so(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    backend = system.backend()
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", no_more)
        [waiting] = submit(backend, system.submission())
        assert backend.poll([waiting])[waiting].reason == (
            "This machine could not start the job and will try again: Resource temporarily unavailable."
        )
    until_state(backend, waiting, RUNNING)


def test_a_runner_that_can_not_be_started_is_gone_with_the_reason(system: LocalSystem) -> None:
    backend = system.backend(runner_command=["/no/such/python3", "runner.pyz"])
    [lost] = submit(backend, system.submission())
    gone = until_state(backend, lost, GONE)
    assert gone.exit_code == 127
    assert gone.detail
    assert "/no/such/python3" in gone.detail


def test_a_folder_that_a_power_cut_damaged_is_gone_and_the_others_go_on(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged, whole = system.submission(), system.submission()
    with monkeypatch.context() as patch:
        patch.setattr(table.JobTable, "_start_waiting", lambda _: None)
        ids = submit(system.backend(), damaged, whole)
    (system.spool / damaged.tag / "spec.json").write_text("")
    backend = system.backend()
    assert until_state(backend, ids[0], GONE).reason == "backend_lost"
    until_state(backend, ids[1], RUNNING)
    assert system.runs(damaged) == []


def test_what_still_runs_without_a_folder_is_ended(system: LocalSystem) -> None:
    backend = system.backend()
    orphan = system.submission()
    [orphan_id] = submit(backend, orphan)
    [run] = until(partial(system.runs, orphan))
    (system.spool / orphan.tag).rename(system.signs / "moved away")
    gone = until_state(backend, orphan_id, GONE)
    assert gone.detail == "No trace of it is left on this machine."
    assert alive(run["pids"]) == []


def test_a_late_second_submission_of_an_ended_job_does_not_change_its_last_word(system: LocalSystem) -> None:
    backend = system.backend()
    done = ended(system, backend)
    words = backend.poll([done.tag])[done.tag]
    shutil.copytree(system.spool / "ended" / done.tag, system.spool / done.tag)
    assert until_state(backend, done.tag, GONE) == words
    until(lambda: not (system.spool / done.tag).exists())
    assert len(system.runs(done)) == 1


# --- cleaning


def ended(system: LocalSystem, backend: LocalBackend) -> Submission:
    done = system.submission()
    system.tell(done, "finish", "0")
    submit(backend, done)
    until_state(backend, done.tag, GONE)
    return done


def test_folders_of_ended_jobs_are_removed_after_a_while_and_leftovers_of_killed_engines_too(
    system: LocalSystem,
) -> None:
    keeping = system.backend()
    kept = ended(system, keeping)
    [running] = submit(keeping, system.submission())
    half_made = system.spool / "incoming" / f"{kept.tag}.1.1"
    half_made.mkdir()
    os.utime(half_made, (0, 0))
    assert (system.spool / "ended" / kept.tag).is_dir()
    backend = system.backend(keep_seconds=0)

    def swept() -> bool:
        backend.queue()
        return not (system.spool / "ended" / kept.tag).exists() and not half_made.exists()

    until(swept)
    assert backend.poll([running])[running].state is RUNNING


def test_cleaning_follows_no_link_that_an_app_left(system: LocalSystem, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep me")
    backend = system.backend()
    done = ended(system, backend)
    folder = system.spool / "ended" / done.tag
    (folder / "link").symlink_to(precious)
    (folder / "deep").mkdir()
    (folder / "deep" / "link").symlink_to(precious / "file")
    backend.forget([done.tag])
    assert not folder.exists()
    assert (precious / "file").read_text() == "keep me"


# --- accounts


def test_the_engines_own_account_is_named_as_trusting(system: LocalSystem) -> None:
    backend = system.backend(run_as="none")
    assert backend.notice.endswith(", the account of the engine: they are trusted")
    running = system.submission()
    submit(backend, running)
    [run] = until(partial(system.runs, running))
    assert "--run-as" not in run["options"]
    assert system.spool.stat().st_mode & 0o777 == 0o700


@needs_root
def test_where_the_engine_may_switch_each_app_runs_under_an_account_of_its_own(open_folder: Path) -> None:
    system = LocalSystem(open_folder)
    app = open_folder / "app"
    app.mkdir()
    (app / "app.py").write_text("print()")
    backend = system.backend(run_as="auto", app_folders=[app, open_folder / "none"])
    assert backend.notice == "each app runs under an account of its own (a number from 61184 to 65519)"
    running = [system.submission() for _ in range(3)]
    submit(backend, *running[:2])
    submit(system.backend(run_as="auto", app_folders=[app]), running[2])
    numbers = {until(partial(system.runs, job))[0]["options"]["--run-as"] for job in running}
    assert len(numbers) == 3
    assert all(61184 <= int(number) <= 65519 for number in numbers)
    assert [path.stat().st_mode & 0o777 for path in (system.spool, system.spool / running[0].tag)] == [0o711, 0o711]
    system.end()


@needs_root
def test_where_the_account_can_not_reach_the_folders_the_sentence_says_why(system: LocalSystem) -> None:
    backend = system.backend(run_as="auto")
    assert backend.notice.startswith("apps run as root, the account of the engine: they are trusted (nobody can't")
    assert "Permission denied" in backend.notice
    assert system.spool.stat().st_mode & 0o777 == 0o700


@needs_root
def test_an_app_that_the_account_can_not_read_prevents_the_switch(open_folder: Path) -> None:
    app = open_folder / "app"
    app.mkdir()
    (app / "app.py").touch(mode=0o600)
    backend = LocalSystem(open_folder).backend(run_as="auto", app_folders=[app])
    assert "Permission denied" in backend.notice


def test_a_named_account_must_exist(system: LocalSystem) -> None:
    with pytest.raises(ConfigurationError, match=r"run-as is 'no such one', but .*: there is no such account"):
        system.backend(run_as="no such one")


@needs_root
def test_a_named_account_must_be_able_to_run_apps(system: LocalSystem) -> None:
    with pytest.raises(ConfigurationError, match=r"run-as is 'nobody', but .*Permission denied.*Name another account"):
        system.backend(run_as="nobody")
