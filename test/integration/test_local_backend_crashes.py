"""Whatever dies between whichever two lines: each attempt runs at most once, and its end is told."""

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from local_system import LocalSystem, alive, submit, until, until_state

from execution_engine.backends import local
from execution_engine.backends.base import Absent, SightingState, Submission
from execution_engine.backends.local import LocalBackend, processes, table, wrapper
from execution_engine.backends.local.job_folder import JobFolder

WAITING, RUNNING, GONE = SightingState.WAITING, SightingState.RUNNING, SightingState.GONE
OURS = str(Path(local.__file__).parent)
LOOKING = {  # at each process of the machine: thousands of lines that change nothing
    function.__code__ for function in (processes.of_tags, processes._tag, processes._children, processes._stat)
}
BRIEF_RUNNER = ["sh", "-c", 'echo "{}" >>"$2/$4.began"; exit 6', "runner"]  # --url is $1, --job is $3


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalSystem]:
    system = LocalSystem(tmp_path)
    yield system
    system.end()


# --- the engine


class KilledAfter:
    """Executes in a child process, which kills itself after a number of lines of the backend's code."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def __call__(self, lines: int) -> bool:
        """Whether the act came to its end before."""
        child = os.fork()
        if child == 0:
            try:
                sys.settrace(self._tracer(lines))
                self._act()
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            return True
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False

    def _tracer(self, lines: int) -> Callable[[FrameType, str, Any], Any]:
        left = lines

        def each_line(_: FrameType, event: str, __: object) -> Any:
            nonlocal left
            if event == "line":
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return each_line

        def each_call(frame: FrameType, _: str, __: object) -> Any:
            code = frame.f_code
            return each_line if code.co_filename.startswith(OURS) and code not in LOOKING else None

        return each_call


def after_every_line(prepare: Callable[[], tuple[Callable[[], object], Callable[[], None]]], step: int = 1) -> None:
    """Kills the act after its first line, its second and so on to its last, each on a fresh job, and then checks.

    With a ``step`` some lines are left out, others in each run of the tests.
    """
    for lines in range(random.randrange(step), 2000, step):
        act, check = prepare()
        complete = KilledAfter(act)(lines)
        check()
        if complete:
            assert lines > 20
            return
    raise AssertionError("the act did not come to its end")


def test_an_engine_killed_while_it_submits(system: LocalSystem) -> None:
    later = system.backend(runner_command=BRIEF_RUNNER)

    def prepare() -> tuple[Callable[[], object], Callable[[], None]]:
        job = system.submission()

        def check() -> None:
            if later.find([job.tag])[job.tag] == Absent():
                assert later.queue() == []
                return
            assert until_state(later, job.tag, GONE).exit_code == 6
            assert len(system.runs(job)) == 1

        return lambda: system.backend(runner_command=BRIEF_RUNNER).submit([job]), check

    after_every_line(prepare)


def test_an_engine_killed_while_it_confirms_an_end_and_starts_the_next(system: LocalSystem) -> None:
    one_cpu = partial(system.backend, runner_command=BRIEF_RUNNER, cpus=1)

    def prepare() -> tuple[Callable[[], object], Callable[[], None]]:
        first, second = system.submission(), system.submission()
        backend = one_cpu()
        submit(backend, first, second)
        until((system.spool / first.tag / "exit").exists)

        def check() -> None:
            later = one_cpu()
            for job in (first, second):
                assert until_state(later, job.tag, GONE).exit_code == 6
                assert len(system.runs(job)) == 1

        return lambda: one_cpu().poll([first.tag]), check

    after_every_line(prepare, step=4)


def test_an_engine_killed_while_it_cancels(system: LocalSystem) -> None:
    waiting_runner = ["sh", "-c", 'echo "{}" >>"$2/$4.began"; exec sleep 600', "runner"]
    one_cpu = partial(system.backend, runner_command=waiting_runner, cpus=1)

    def prepare() -> tuple[Callable[[], object], Callable[[], None]]:
        running, waiting = system.submission(), system.submission()
        ids = submit(one_cpu(), running, waiting)
        until(partial(system.runs, running))

        def check() -> None:
            later = one_cpu()
            later.cancel(ids)
            assert until_state(later, running.tag, GONE).reason == "cancelled"
            assert until_state(later, waiting.tag, GONE).reason == "cancelled_before_start"
            assert processes.of_tags(ids) == {}
            assert system.runs(waiting) == []

        return lambda: one_cpu().cancel(ids), check

    after_every_line(prepare, step=4)


# --- two engines at once


def at_once(acts: list[Callable[[], object]]) -> None:
    """Each act in a process of its own, all begun together."""
    ready, go = os.pipe()
    children = []
    for act in acts:
        child = os.fork()
        if child == 0:
            try:
                os.close(go)
                os.read(ready, 1)  # until the parent closes the other end
                act()
            finally:
                os._exit(0)
        children.append(child)
    os.close(go)
    os.close(ready)
    for child in children:
        os.waitpid(child, 0)


def accepted_but_not_started(system: LocalSystem, monkeypatch: pytest.MonkeyPatch) -> Submission:
    job = system.submission()
    with monkeypatch.context() as patch:
        patch.setattr(table.JobTable, "_start_waiting", lambda _: None)
        submit(system.backend(), job)
    return job


@pytest.mark.parametrize("_round", range(10))
def test_16_engines_start_one_runner(system: LocalSystem, monkeypatch: pytest.MonkeyPatch, _round: int) -> None:
    job = accepted_but_not_started(system, monkeypatch)
    engine = partial(system.backend, runner_command=BRIEF_RUNNER)
    at_once([lambda: [engine().poll([job.tag]) for _ in range(3)]] * 16)
    assert until_state(engine(), job.tag, GONE).exit_code == 6
    assert len(system.runs(job)) == 1


@pytest.mark.parametrize("_round", range(10))
def test_of_16_wrappers_one_goes_on_even_without_the_lock(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch, _round: int
) -> None:
    job = accepted_but_not_started(system, monkeypatch)
    folder = JobFolder(system.spool / job.tag)
    command = [*BRIEF_RUNNER, "--url", str(system.signs), "--job", job.job_id]

    def start() -> None:
        with (folder.path / "no lock").open("a") as file:
            wrapper.start(folder, "boot", command, os.environ["PATH"], file.fileno()).wait()

    at_once([start] * 16)
    assert len(system.runs(job)) == 1
    assert folder.exit_status() == 6


@pytest.mark.parametrize("_round", range(10))
def test_a_cancel_against_a_start_lets_one_of_them_win(
    system: LocalSystem, monkeypatch: pytest.MonkeyPatch, _round: int
) -> None:
    job = accepted_but_not_started(system, monkeypatch)
    engine = partial(system.backend, cancel_grace_seconds=1.0)
    at_once([lambda: engine().poll([job.tag]), lambda: engine().cancel([job.tag])])
    later = engine()
    later.cancel([job.tag])
    gone = until_state(later, job.tag, GONE)
    assert gone.reason in ("cancelled", "cancelled_before_start")
    assert gone.reason == "cancelled" or system.runs(job) == []


# --- wrapper, runner, machine


def started(system: LocalSystem, backend: LocalBackend) -> tuple[Submission, int, list[int]]:
    """A job whose app runs, the pid of its wrapper, and those of its runner and app."""
    job = system.submission()
    system.tell(job, "app")
    submit(backend, job)
    [run] = until(partial(system.runs, job))
    fact = JobFolder(system.spool / job.tag).started()
    assert fact
    assert len(alive([fact.group, *run["pids"]])) == 3
    return job, fact.group, run["pids"]


def test_a_killed_runner_is_gone_with_its_signal_and_nothing_of_its_app_is_left(system: LocalSystem) -> None:
    backend = system.backend()
    job, _, (runner, app) = started(system, backend)
    os.kill(runner, signal.SIGKILL)
    gone = until_state(backend, job.tag, GONE)
    assert (gone.signal, gone.exit_code, gone.reason) == (9, None, None)
    assert gone.detail == "The runner was ended by SIGKILL."
    assert alive([app]) == []
    assert processes.of_tags([job.tag]) == {}


def test_a_killed_wrapper_does_not_end_the_job(system: LocalSystem) -> None:
    backend = system.backend()
    job, watcher, (runner, _) = started(system, backend)
    os.kill(watcher, signal.SIGKILL)
    until(lambda: not alive([watcher]))
    assert system.backend().poll([job.tag])[job.tag].state is RUNNING
    assert backend.poll([job.tag])[job.tag].state is RUNNING
    system.tell(job, "finish", "0")
    gone = until_state(backend, job.tag, GONE)
    assert (gone.signal, gone.exit_code) == (None, None)
    assert gone.detail == "The runner ended, and the process that watched it had been killed."
    assert alive([runner]) == []


def test_a_job_without_its_wrapper_can_be_cancelled(system: LocalSystem) -> None:
    backend = system.backend()
    job, watcher, pids = started(system, backend)
    os.kill(watcher, signal.SIGKILL)
    until(lambda: not alive([watcher]))
    backend.cancel([job.tag])
    assert until_state(backend, job.tag, GONE).reason == "cancelled"
    assert alive(pids) == []


def test_wrapper_and_runner_killed_together_leave_no_app(system: LocalSystem) -> None:
    backend = system.backend()
    job, watcher, (runner, app) = started(system, backend)
    os.kill(watcher, signal.SIGKILL)
    os.kill(runner, signal.SIGKILL)
    until_state(backend, job.tag, GONE)
    assert alive([app]) == []


def test_an_app_that_outlives_its_runners_proper_end_is_ended(system: LocalSystem) -> None:
    backend = system.backend()
    job, _, (_, app) = started(system, backend)
    system.tell(job, "finish", "0")
    assert until_state(backend, job.tag, GONE).exit_code == 0
    assert alive([app]) == []


def test_a_reboot_is_noticed_and_what_waited_starts(system: LocalSystem) -> None:
    before = system.backend(cpus=1)
    job, *_ = started(system, before)
    [waiting_id] = submit(before, system.submission())
    processes.kill_all([job.tag])
    fact = system.spool / job.tag / "started"
    fact.write_text(fact.read_text().replace(processes.boot_identity(), "another-boot"))
    (system.spool / job.tag / "exit").unlink(missing_ok=True)
    after = system.backend(cpus=1)
    gone = until_state(after, job.tag, GONE)
    assert (gone.reason, gone.detail) == ("machine_rebooted", "The machine was restarted while the job ran.")
    until_state(after, waiting_id, RUNNING)


def test_what_ended_before_the_reboot_is_told_as_it_was(system: LocalSystem) -> None:
    job, *_ = started(system, system.backend())
    system.tell(job, "finish", "3")
    until((system.spool / job.tag / "exit").exists)
    fact = system.spool / job.tag / "started"
    fact.write_text(fact.read_text().replace(processes.boot_identity(), "another-boot"))
    gone = until_state(system.backend(), job.tag, GONE)
    assert (gone.exit_code, gone.reason) == (3, None)
