"""Stands between an AWE worker and the runner: ``ee-runner JOB ATTEMPT``, in the folder that AWE made for the job.

AWE kills what it started, with a KILL and nothing else, and leaves the rest of its processes running. So what AWE
starts only waits; a second process watches that the first one lives, and ends runner and app when it does not.

Standard library alone, any Python 3 on Linux: it goes into the program that is installed on the workers.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

TICKET_VARIABLE = "EE_START_TICKET"
URL_VARIABLE = "EE_URL"
TAG_VARIABLE = "EE_ATTEMPT_TAG"
KEEPER_VARIABLE = "EE_KEEPER"  # AWE may run an attempt twice on one machine: whose processes these are
GRACE_SECONDS = 15.0  # for the runner to stop its app and to report that
KILL_SECONDS = 5.0
TAIL_BYTES = 2_000
EXIT_USAGE = 2


def main(argv: list[str], command: list[str]) -> int:
    """Run the attempt that ``argv`` names, by the runner ``command``; the runner's exit code."""
    ticket, url = os.environ.pop(TICKET_VARIABLE, ""), os.environ.get(URL_VARIABLE, "")
    if len(argv) != 2 or not url:
        sys.stderr.write(f"usage: {URL_VARIABLE}=URL {TICKET_VARIABLE}=TICKET ee-runner JOB ATTEMPT\n")
        return EXIT_USAGE
    folder = os.getcwd()  # noqa: PTH109 - as text, for a command line
    ticket_file = os.path.join(folder, "ee-ticket")  # noqa: PTH118 - as above
    if ticket:
        _write(ticket_file, ticket)
        # Anew without the ticket: what a process was started with can be read in /proc as long as it runs.
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - no shell is meant
    os.environ.pop(URL_VARIABLE)
    job, attempt = argv
    runner = [*command, "--url", url, "--job", job, "--attempt", attempt, "--ticket-file", ticket_file, "--dir", folder]
    log = os.path.join(folder, "ee-runner.log")  # noqa: PTH118 - as above
    code = _guarded(runner, f"ee.{job}.{attempt}", log)
    sys.stderr.write(_tail(log))
    return code


def _write(path: str, text: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - as above
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _tail(path: str) -> str:
    with contextlib.suppress(OSError), open(path, "rb") as file:  # noqa: PTH123 - as above
        return file.read()[-TAIL_BYTES:].decode(errors="replace")
    return ""


def _guarded(runner: list[str], tag: str, log: str) -> int:
    """The exit code of ``runner``, which a child of this process keeps; this one's end is what the child waits for."""
    alive, keep_open = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(keep_open)
            os.setsid()
            code = _keep(runner, tag, log, alive)
        finally:
            os._exit(code)
    os.close(alive)
    _, status = os.waitpid(child, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _keep(command: list[str], tag: str, log: str, alive: int) -> int:
    """Run the command until it ends, or until nobody holds the other end of ``alive``; leave no process of it."""
    ended, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(tell)
    mark = f"{tag}.{os.urandom(8).hex()}"
    with open(log, "wb") as file:  # noqa: PTH123 - as above. Not AWE's pipes, which break when it kills
        runner = subprocess.Popen(
            command,
            env={**os.environ, TAG_VARIABLE: tag, KEEPER_VARIABLE: mark},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    while runner.poll() is None:
        if alive in select.select([alive, ended], [], [])[0]:
            runner.terminate()
            break
        os.read(ended, 512)
    with contextlib.suppress(subprocess.TimeoutExpired):
        runner.wait(GRACE_SECONDS)
    _kill_all(mark)
    code = runner.wait()
    return code if code >= 0 else 128 - code


def _kill_all(mark: str) -> None:
    """Kill whatever has the mark in its environment, as all have that the runner started; until nothing is found."""
    give_up = time.monotonic() + KILL_SECONDS
    while (pids := _marked(mark)) and time.monotonic() < give_up:
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _marked(mark: str) -> list[int]:
    variable = f"{KEEPER_VARIABLE}={mark}".encode()
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all that is needed
        with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123 - as above
            if name.isdigit() and variable in file.read().split(b"\0"):
                found.append(int(name))
    return found
