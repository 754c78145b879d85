"""What tests need of a job: lines that can be counted, a start that leaves a trace, ends of every kind.

Each app takes one object. Where that names a ``gate``, the job goes on until a file of this name exists; where it
names ``traces``, every start and end of the job appends a line to the job's own file in this folder.
"""
# ruff: noqa: PTH104, PTH110, PTH118, PTH123, T201 fifty of these start at once, and pathlib takes as long to import as all the rest

import fcntl
import json
import os
import signal
import sys
import time

TICK_SECONDS = 0.25


def count(asked: dict) -> dict:
    """Print so many ``lines`` on each stream and then, until the gate opens, some more; return how many."""
    gate, least, printed = asked.get("gate"), asked.get("lines", 0), 0
    while printed < least or is_closed(gate):
        print("out", printed)
        print("err", printed, file=sys.stderr)
        printed += 1
        if printed > least:
            time.sleep(TICK_SECONDS)
    return {"job": os.environ["EE_JOB_ID"], "lines": printed}


def stubborn(asked: dict) -> None:
    """Start a child in a session of its own that no TERM ends, and say its pid."""
    child = os.fork()
    if not child:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("child", os.getpid())
        signal.pause()
    wait_for(asked.get("gate"))


def fail(asked: dict) -> None:
    """Report the error ``message``, or end with ``exit_code`` and report nothing."""
    if "exit_code" in asked:
        print("the last words", file=sys.stderr)
        sys.exit(asked["exit_code"])
    leave(error={"code": -32000, "name": "DrillError", "message": asked["message"], "error": "the app's own traceback"})
    sys.exit(1)


def bulky(asked: dict) -> str:
    """Return a text of so many ``characters``."""
    return "x" * asked["characters"]


def write(asked: dict) -> int:
    """Write so many ``bytes`` into the job's folder."""
    with open("data", "wb") as file:
        return file.write(b"x" * asked["bytes"])


def identity(asked: dict) -> str:
    """Return whose token the job was given, as Auth2 says."""
    from urllib.request import Request, urlopen  # noqa: PLC0415 - the others start faster without

    wait_for(asked.get("gate"))
    with open("token") as file:
        token = file.read()
    assert token == os.environ["KB_AUTH_TOKEN"]
    request = Request(os.environ["EE_AUTH_URL"] + "/api/V2/token", headers={"Authorization": token})  # noqa: S310
    with urlopen(request) as answer:  # noqa: S310 - the URL is the engine's
        return json.load(answer)["user"]


def is_closed(gate: str | None) -> bool:
    return gate is not None and not os.path.exists(gate)


def wait_for(gate: str | None) -> None:
    while is_closed(gate):
        time.sleep(TICK_SECONDS)


def open_trace(folder: str) -> int:
    """The job's own file, locked as long as this process lives; says so if another attempt lives, too."""
    file = os.open(os.path.join(folder, os.environ["EE_JOB_ID"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        trace(file, "overlap")
    trace(file, "begin")
    return file


def trace(file: int, word: str) -> None:
    os.write(file, f"{word} {os.environ['EE_ATTEMPT_TAG']}\n".encode())


def leave(**said: object) -> None:
    with open("output.json.new", "w") as file:
        json.dump({"version": "1.1", **said}, file)
    os.rename("output.json.new", "output.json")


if __name__ == "__main__":
    with open("input.json") as file:
        given = (json.load(file)["params"] or [{}])[0]
    traces = open_trace(given["traces"]) if "traces" in given else None
    leave(result=[globals()[sys.argv[1]](given)])
    if traces is not None:
        trace(traces, "end")
