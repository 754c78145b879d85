import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from execution_engine.backends.base import TAG_VARIABLE
from execution_engine.backends.local import processes

# Of this run alone: the tests look at all processes of the machine.
TAG = f"ee.{secrets.token_hex(12)}.1"
Start = Callable[..., "subprocess.Popen[bytes]"]
OTHER = f"ee.{secrets.token_hex(12)}.1"


@pytest.fixture
def start() -> Iterator[Start]:
    started = []

    def start(tag: str, *command: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, TAG_VARIABLE: tag}
        process = subprocess.Popen(command or ["sleep", "600"], env=environment, start_new_session=True)
        started.append(process)
        deadline = time.monotonic() + 10
        while tag not in processes.of_tags([tag]):
            assert time.monotonic() < deadline, "the process did not begin"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", ["", "x", "ee..1", f"ee.{'a' * 24}.1\n", "ee." + "a" * 24])
def test_nothing_belongs_to_a_name_that_is_no_tag(name: str) -> None:
    assert processes.of_tags([name]) == {}


def test_nothing_belongs_to_a_tag_that_nobody_has() -> None:
    assert processes.of_tags([TAG]) == {}


def test_processes_are_found_by_their_tag_with_descendants_that_dropped_it(start: Start) -> None:
    child = "import subprocess; subprocess.run(['env', '-i', 'sleep', '600'])"
    tagged = start(TAG, sys.executable, "-I", "-S", "-c", child)
    start(OTHER)
    deadline = time.monotonic() + 10
    while len(processes.of_tags([TAG])[TAG]) < 2:
        assert time.monotonic() < deadline, "the descendant was not found"
    assert tagged.pid in processes.of_tags([TAG])[TAG]
    assert processes.kill_all([TAG]) == set()
    assert tagged.wait() == -signal.SIGKILL
    assert processes.of_tags([TAG]) == {}
    assert list(processes.of_tags([TAG, OTHER])) == [OTHER]


def test_one_that_is_killed_but_did_not_end_yet_is_left(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start(TAG)
    looks = iter([{TAG: {process.pid}}])
    with monkeypatch.context() as ending:
        ending.setattr(processes, "of_tags", lambda _: next(looks, {}))  # its environment went first
        ending.setattr(os, "kill", lambda *_: None)
        assert processes.kill_all([TAG, OTHER]) == {TAG}
    assert processes.kill_all([TAG]) == set()


def test_a_zombie_is_nobody(start: Start) -> None:
    process = start(TAG, "sleep", "600")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert processes.of_tags([TAG]) == {}


def test_a_process_never_counts_itself_and_those_above_it() -> None:
    look = f"from execution_engine.backends.local import processes; print(processes.of_tags(['{TAG}']))"
    command = ["env", f"{TAG_VARIABLE}={TAG}", "sh", "-c", '"$@"; true', "sh", sys.executable, "-c", look]
    assert subprocess.check_output(command, text=True).strip() == "{}"


def test_term_reaches_the_tags_processes_in_their_group_and_no_others(start: Start) -> None:
    meant, elsewhere, other = start(TAG), start(TAG), start(OTHER)
    processes.terminate({TAG: meant.pid, OTHER: meant.pid})
    assert meant.wait(10) == -signal.SIGTERM
    assert elsewhere.poll() is None
    assert other.poll() is None


def test_the_boot_is_the_same_as_long_as_the_machine_runs() -> None:
    assert processes.boot_identity() == processes.boot_identity()
    assert " " not in processes.boot_identity()
