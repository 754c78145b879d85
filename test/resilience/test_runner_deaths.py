"""Processes of one job die or resist: its end says what happened, and nothing of it is left running."""

import re
import signal
import socket
from typing import Any

import pytest

from test.conftest import Stack, wait_until
from test.resilience.conftest import MakeEngine
from test.resilience.crowd import Crowd, check_history
from test.resilience.stack_processes import app_of, kill, processes_of_attempt, runner_of, wrapper_of


@pytest.fixture(scope="module")
def engine(make_engine: MakeEngine) -> Stack:
    """One for all tests here."""
    return make_engine()


class Job:
    """A running job whose app has a child that no TERM ends."""

    def __init__(self, engine: Stack) -> None:
        self.engine = engine
        self.gate = engine.folder / "never"
        asked = {"method": "drill.stubborn", "params": [{"gate": str(self.gate)}]}
        self.id = engine.call("run_job", asked, "alice")
        self.tag = f"ee.{self.id}.1"
        wait_until(self.log, what="the app's first line")

    def log(self) -> list[str]:
        return [line["line"] for line in self.engine.call("get_logs", {"job_id": self.id}, "alice")["lines"]]

    def end(self) -> Any:
        """The record when it has ended; and then nothing of it runs any more."""
        job = self.engine.wait_for(self.id)
        check_history(job)
        wait_until(lambda: not processes_of_attempt(self.tag), what="the end of all processes of the job")
        return job


@pytest.fixture(scope="module", autouse=True)
def hanging(engine: Stack) -> Job:
    """One whose runner stands still and that was cancelled: the backend is patient with it while other tests run."""
    job = Job(engine)
    kill(runner_of(job.tag), number=signal.SIGSTOP)
    engine.call("cancel_job", {"job_id": job.id}, "alice")
    return job


def test_runner_is_killed(engine: Stack) -> None:
    job = Job(engine)
    assert len(processes_of_attempt(job.tag)) == 4  # wrapper, runner, app, its child
    kill(runner_of(job.tag))
    ended = job.end()
    assert ended["status"] == "error"
    assert ended["cause"] == {
        "code": "runner_lost",
        "message": "The job's runner was killed (signal 9).",
        "advice": "Run it again; tell the operators.",
        "detail": "The runner was ended by SIGKILL.",
    }


def test_runner_and_its_wrapper_are_killed(engine: Stack) -> None:
    job = Job(engine)
    kill(wrapper_of(job.tag), runner_of(job.tag))
    ended = job.end()
    assert ended["status"] == "error"
    assert ended["cause"]["code"] == "runner_lost"
    assert ended["cause"]["message"] == "The job's process on the worker was killed or died."
    assert ended["cause"]["detail"] == "The runner ended, and the process that watched it had been killed."


def test_wrapper_alone_is_killed(engine: Stack) -> None:
    crowd = Crowd(engine, 1)
    (job_id,) = crowd.submit()
    crowd.wait_running()
    kill(wrapper_of(f"ee.{job_id}.1"))
    crowd.release()
    crowd.wait_finished()
    crowd.check_all_completed_once()


def test_app_is_killed(engine: Stack) -> None:
    job = Job(engine)
    kill(app_of(job.tag))
    ended = job.end()
    assert ended["status"] == "error"
    assert ended["cause"]["code"] == "app_error"
    assert ended["cause"]["exit_code"] == 137
    assert ended["cause"]["message"] == (
        "The app was ended by signal 9 (SIGKILL); often the system's answer when memory runs out."
    )
    assert job.log()[-2:] == ["Processes that the app left running are ended.", "Not ended within 5 s: ended by force."]


def test_runner_is_told_to_stop(engine: Stack) -> None:
    job = Job(engine)
    kill(runner_of(job.tag), number=signal.SIGTERM)
    ended = job.end()
    assert ended["status"] == "error"
    assert ended["cause"]["code"] == "runner_stopped"
    assert ended["cause"]["message"] == f"The runner on {socket.gethostname()} was told to stop."


def test_cancel_ends_a_process_that_ignores_term(engine: Stack) -> None:
    job = Job(engine)
    answer = engine.call("cancel_job", {"job_id": job.id, "reason": "enough"}, "alice")
    assert (answer["cancelled"], answer["cancel_requested"]["reason"]) == (1, "enough")
    ended = job.end()
    assert ended["status"] == "terminated"
    assert ended["cause"]["code"] == "cancelled"
    assert ended["cause"]["message"] == "The job was cancelled while it ran."
    assert re.fullmatch(r"Not ended within \d s: ended by force\.", job.log()[-1])


def test_a_runner_that_hangs_does_not_hold_up_a_cancel(hanging: Job) -> None:
    ended = hanging.end()
    assert ended["status"] == "terminated"
    assert ended["cause"]["code"] == "cancelled"
