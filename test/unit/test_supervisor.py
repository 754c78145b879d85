import json
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from execution_engine.embedded.processes import NOTE_NAME, Child, bound_log, end_leftovers, remember
from execution_engine.embedded.supervisor import StartFailed, StopRequested, Supervisor

# Appends its name to a file when it starts and when it is asked to end.
DIARIST = """
import pathlib, signal, sys
name, diary = sys.argv[1], pathlib.Path(sys.argv[2])
def write(what):
    with diary.open("a") as out:
        out.write(f"{name} {what}\\n")
def end(*_):
    write("stops")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
write("starts")
while True:
    signal.pause()
"""

# Only notes a SIGTERM, and has a child that does so too; writes both process ids.
STUBBORN = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: pathlib.Path(sys.argv[1] + ".asked").touch())
child = os.fork()
if child:
    pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child}")
while True:
    time.sleep(60)
"""

# A supervisor with one plain child, and a process that was detached from that child on purpose.
SUPERVISING = """
import pathlib, sys
from execution_engine.embedded.processes import Child
from execution_engine.embedded.supervisor import Supervisor
folder = pathlib.Path(sys.argv[1])
child = '''
import os, pathlib, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
detached = subprocess.Popen(["sleep", "60"], start_new_session=True)
(folder / "pids.new").write_text(f"{os.getpid()} {detached.pid}")
(folder / "pids.new").rename(folder / "pids")
time.sleep(60)
'''
with Supervisor(folder, print) as supervisor:
    supervisor.start(Child("worker", [sys.executable, "-c", child, str(folder)], (folder / "pids").exists))
    supervisor.watch()
"""


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


class Diary:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "diary"

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def child(self, name: str) -> Child:
        command = [sys.executable, "-c", DIARIST, name, str(self.file)]
        return Child(name, command, lambda: f"{name} starts" in self.lines())


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path)


@pytest.fixture
def said() -> list[str]:
    return []


def test_children_start_in_order_and_stop_in_reverse(tmp_path: Path, diary: Diary, said: list[str]) -> None:
    with Supervisor(tmp_path, said.append) as supervisor:
        for name in ("database", "web", "dispatcher"):
            supervisor.start(diary.child(name))
    assert diary.lines() == [
        *("database starts", "web starts", "dispatcher starts"),
        *("dispatcher stops", "web stops", "database stops"),
    ]
    assert said == []


def test_a_killed_child_starts_again_after_a_growing_pause(tmp_path: Path, diary: Diary, said: list[str]) -> None:
    with Supervisor(tmp_path, said.append) as supervisor:
        supervisor.start(diary.child("web"))

        def kill_twice() -> None:
            for starts in (1, 2):
                eventually(lambda starts=starts: diary.lines().count("web starts") == starts)
                os.kill(supervisor.pids()["web"], signal.SIGKILL)
            eventually(lambda: diary.lines().count("web starts") == 3)
            os.kill(os.getpid(), signal.SIGTERM)

        killer = threading.Thread(target=kill_twice)
        killer.start()
        supervisor.watch()
        killer.join()
        assert supervisor.stop_signal is signal.SIGTERM
    assert [line.split(". Log")[0] for line in said] == [
        "web stopped (killed by SIGKILL); it starts again in 0.2 s",
        "web stopped (killed by SIGKILL); it starts again in 0.4 s",
    ]
    assert diary.lines() == ["web starts"] * 3 + ["web stops"]


def test_a_child_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    child = Child("deaf", [sys.executable, "-c", STUBBORN, str(pids)], pids.exists, stop_seconds=0.2)
    with Supervisor(tmp_path, print) as supervisor:
        supervisor.start(child)
        eventually(lambda: len(pids.read_text().split()) == 2)
    for pid in pids.read_text().split():
        eventually(lambda pid=pid: is_gone(int(pid)))


def test_when_a_child_dies_what_is_left_of_its_group_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    child = Child("master", [sys.executable, "-c", STUBBORN, str(pids)], pids.exists)
    with Supervisor(tmp_path, print) as supervisor:
        supervisor.start(child)
        eventually(lambda: len(pids.read_text().split()) == 2)
        master, worker = map(int, pids.read_text().split())
        os.kill(master, signal.SIGKILL)
        sender = threading.Thread(
            target=lambda: (eventually(lambda: is_gone(worker)), os.kill(os.getpid(), signal.SIGTERM))
        )
        sender.start()
        supervisor.watch()
        sender.join()
    assert is_gone(worker)


def test_a_second_signal_makes_the_stop_quick(tmp_path: Path, diary: Diary) -> None:
    pids, asked = tmp_path / "pids", tmp_path / "pids.asked"
    stubborn = Child("deaf", [sys.executable, "-c", STUBBORN, str(pids)], pids.exists, stop_seconds=1000)
    second = threading.Thread(target=lambda: (eventually(asked.exists), os.kill(os.getpid(), signal.SIGINT)))
    running = {}

    def run_and_stop() -> None:
        with Supervisor(tmp_path, print) as supervisor:
            supervisor.start(diary.child("database"))
            supervisor.start(stubborn)
            running.update(supervisor.pids())
            second.start()
            os.kill(os.getpid(), signal.SIGINT)
            supervisor.watch()

    with pytest.raises(KeyboardInterrupt):
        run_and_stop()
    second.join()
    assert len(running) == 2
    for pid in running.values():
        eventually(lambda pid=pid: is_gone(pid))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_child_that_ends_at_once_is_a_failed_start_that_shows_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('no such setting: colour'); sys.exit(3)"]
    with Supervisor(tmp_path, print) as supervisor, pytest.raises(StartFailed) as failure:
        supervisor.start(Child("web", command, lambda: False))
    assert "web ended at once (exit code 3)" in str(failure.value)
    assert str(tmp_path / "logs" / "web.log") in str(failure.value)
    assert "no such setting: colour" in str(failure.value)


def test_a_failed_start_shows_nothing_of_earlier_ones(tmp_path: Path) -> None:
    def failure_of(code: str) -> str:
        with Supervisor(tmp_path, print) as supervisor, pytest.raises(StartFailed) as failure:
            supervisor.start(Child("web", [sys.executable, "-c", code], lambda: False))
        return str(failure.value)

    assert "the disk is full" in failure_of("import sys; sys.exit('the disk is full')")
    second = failure_of("import sys; sys.exit('no such setting')")
    assert second.endswith(f"The end of its log, {tmp_path}/logs/web.log:\nno such setting")
    assert failure_of("raise SystemExit(3)").endswith(f"It wrote nothing to its log, {tmp_path}/logs/web.log.")
    assert "the disk is full" in (tmp_path / "logs" / "web.log").read_text()


def test_logs_are_closed_to_other_accounts(tmp_path: Path, diary: Diary) -> None:
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "web.log"
    log.touch(mode=0o644)
    with Supervisor(tmp_path, print) as supervisor:
        supervisor.start(diary.child("web"))
        supervisor.start(diary.child("dispatcher"))
    log.write_text("x" * 20)
    bound_log(log, limit=10)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in log.parent.iterdir()}
    assert modes == {"web.log": 0o600, "web.log.1": 0o600, "dispatcher.log": 0o600}


def test_a_program_that_is_not_there_is_a_failed_start_that_names_it(tmp_path: Path) -> None:
    with (
        Supervisor(tmp_path, print) as supervisor,
        pytest.raises(StartFailed, match="/nowhere/mongod can't be started"),
    ):
        supervisor.start(Child("mongod", ["/nowhere/mongod"], lambda: False))


def test_a_child_that_never_gets_ready_is_a_failed_start(tmp_path: Path) -> None:
    child = Child("web", ["sleep", "60"], lambda: False, start_seconds=0.2)
    with Supervisor(tmp_path, print) as supervisor, pytest.raises(StartFailed, match=r"was not ready within 0\.2 s"):
        supervisor.start(child)


def test_a_signal_ends_the_wait_for_a_child(tmp_path: Path) -> None:
    def is_ready() -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return False

    with Supervisor(tmp_path, print) as supervisor, pytest.raises(StopRequested):
        supervisor.start(Child("web", ["sleep", "60"], is_ready))


def test_children_end_with_a_killed_supervisor_but_not_what_they_detached(tmp_path: Path) -> None:
    child = Child("supervisor", [sys.executable, "-c", SUPERVISING, str(tmp_path)], (tmp_path / "pids").exists)
    (tmp_path / "outer").mkdir()
    with Supervisor(tmp_path / "outer", print) as outer:
        outer.start(child)
        worker, detached = map(int, (tmp_path / "pids").read_text().split())
        try:
            os.kill(outer.pids()["supervisor"], signal.SIGKILL)
            eventually(lambda: is_gone(worker))
            assert not is_gone(detached)
        finally:
            os.kill(detached, signal.SIGKILL)


def test_what_a_killed_supervisor_left_running_can_be_ended(tmp_path: Path, diary: Diary) -> None:
    (tmp_path / "killed").mkdir()
    note = tmp_path / "killed" / NOTE_NAME
    assert end_leftovers(tmp_path / "killed") == []
    with Supervisor(tmp_path, print) as supervisor:
        supervisor.start(diary.child("web"))
        remember(note, supervisor.pids())
        assert end_leftovers(tmp_path / "killed") == ["web"]
        assert is_gone(supervisor.pids()["web"])


def test_a_process_id_alone_is_no_proof(tmp_path: Path, diary: Diary) -> None:
    with Supervisor(tmp_path, print) as supervisor:
        supervisor.start(diary.child("web"))
        note = json.loads((tmp_path / NOTE_NAME).read_text())
        note["web"]["started"] -= 1
        (tmp_path / NOTE_NAME).write_text(json.dumps(note))
        assert end_leftovers(tmp_path) == []
        assert not is_gone(supervisor.pids()["web"])


def test_a_log_is_moved_aside_when_it_is_long_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100 + b"\n")
        bound_log(log, limit=200)
        assert log.stat().st_size == 101
        writer.write(b"y" * 100 + b"\n")
        bound_log(log, limit=200)
        writer.write(b"the next\n")
    assert log.read_bytes() == b"the next\n"
    assert (tmp_path / "web.log.1").stat().st_size == 202
