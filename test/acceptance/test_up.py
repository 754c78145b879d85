"""`execution-engine up`: its children come back, its files are private, its endpoints answer."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LONG = {"method": "sequence_tools.long_task"}


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def start_long(stack: Any, seconds: float) -> str:
    """A running job of alice's that writes a line every tenth of a second."""
    job_id = stack.call("run_job", LONG | {"params": [{"seconds": seconds, "lines_per_second": 10}]}, "alice")
    stack.wait_for(job_id, "running")
    wait_until(lambda: stack.call("get_logs", {"job_id": job_id}, "alice")["lines"])
    return str(job_id)


def lines_of(stack: Any, job_id: str) -> list[int]:
    page = stack.call("get_logs", {"job_id": job_id, "limit": 10_000}, "alice")
    return [line["n"] for line in page["lines"]]


def test_every_killed_child_comes_back_and_a_follower_misses_nothing(new_stack: Any, tmp_path: Path) -> None:
    stack = new_stack()
    job_id = start_long(stack, 8)
    command = [sys.executable, "-m", "execution_engine.cli.main", "logs", "-f", job_id, "--json"]
    environment = os.environ | {"EE_URL": stack.url, "EE_TOKEN": stack.token("alice")}
    output = tmp_path / "followed"
    with output.open("w") as out:
        follower = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.PIPE, text=True)
    wait_until(output.read_text)
    for name in ("web", "mongod", "dispatcher", "services"):
        pid = stack.pid(name)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda name=name, pid=pid: stack.pid(name) != pid)
    said = follower.communicate(timeout=90)[1]
    assert follower.returncode == 0, said
    followed = [json.loads(line) for line in output.read_text().splitlines()]
    record = followed.pop()
    assert (record["job_id"], record["status"]) == (job_id, "completed")
    assert [line["n"] for line in followed] == lines_of(stack, job_id)
    log = stack.log.read_text()
    for name in ("web", "mongod", "dispatcher", "services"):
        assert re.search(rf"^{name} stopped \(killed by SIGKILL\); it starts again in 0\.2 s", log, re.MULTILINE)


def test_secrets_are_for_the_engines_account_only(stack: Any) -> None:
    for name, mode in (
        ("tokens.json", 0o600),
        ("service.token", 0o600),
        ("secret.key", 0o600),
        ("deploy.cfg", 0o600),
        ("mongo", 0o700),
    ):
        assert stat.S_IMODE((stack.data / name).stat().st_mode) == mode, name
    assert set(json.loads((stack.data / "tokens.json").read_text())) == {"alice", "bob", "admin"}


def test_every_endpoint_answers_where_endpoints_json_says(stack: Any) -> None:
    endpoints = json.loads((stack.data / "endpoints.json").read_text())
    assert set(endpoints) == {"execution_engine", "auth", "workspace", "catalog", "mongo"}
    headers = {"Authorization": stack.token("bob")}
    assert stack.session.get(endpoints["auth"] + "/api/V2/me", headers=headers, timeout=10).json()["user"] == "bob"
    for name, method in (("workspace", "Workspace.ver"), ("catalog", "Catalog.version")):
        request = {"version": "1.1", "id": "1", "method": method, "params": []}
        assert stack.session.post(endpoints[name], json=request, timeout=10).json()["result"], name


@pytest.mark.parametrize("words", [("status",), ("status", "--json")])
def test_the_data_folder_is_all_that_a_client_on_the_machine_needs(stack: Any, words: tuple[str, ...]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EE_")}
    command = [sys.executable, "-m", "execution_engine.cli.main", *words, "--data", str(stack.data)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "ok" in done.stdout
