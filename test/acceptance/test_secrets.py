"""Marked secrets go through every path; then everything that was written is searched for them."""

import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet, InvalidToken

from test.acceptance.idle_jobs import IDLE
from test.acceptance.people import add_person
from test.acceptance.written import in_databases, in_files, in_process_lists, in_ps
from test.conftest import Stack, wait_until
from test.resilience.network import Network, Weather

USER_TOKEN, OTHER_TOKEN, BAD_TOKEN = ("MARKED" + name.ljust(26, "Q") for name in ("ALICE", "BOB", "NOBODY"))
SETTINGS = """
[execution_engine]
log-level = DEBUG
permission-cache-seconds = 0.5
denial-cache-seconds = 0
http-timeout-seconds = 2
workspace-url = http://127.0.0.1:%d/services/ws

[backend:local]
kind = local
cpus = 8
"""
# Where secrets stand for those who own them, in files that nobody else may read.
SOURCES = {"tokens.json", "service.token", "secret.key"}
OF_RUNNING = {"ticket", "runner.json", "work/token"}
OF_ENDED = {"runner.json"}  # for the time in which late log lines may still come


@dataclass
class Secrets:
    """What nobody may find, by what it is."""

    found: dict[str, set[str]] = field(default_factory=dict)

    def add(self, kind: str, *secrets: str) -> None:
        self.found.setdefault(kind, set()).update(secrets)

    def all(self) -> list[bytes]:
        return [secret.encode() for kind in self.found.values() for secret in kind]

    def of(self, *kinds: str) -> list[bytes]:
        return [secret.encode() for kind in kinds for secret in self.found[kind]]


class Caller:
    """Calls in every manner; keeps what was answered, headers included."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.answers = stack, bytearray()

    def __call__(self, method: str, params: Any, authorization: str | None = None, body: bytes | None = None) -> Any:
        headers = {} if authorization is None else {"Authorization": authorization}
        request = {"jsonrpc": "2.0", "id": 1, "method": f"ExecutionEngine.{method}", "params": params}
        data = json.dumps(request).encode() if body is None else body
        response = self.stack.session.post(self.stack.url, data=data, headers=headers, timeout=60)
        self.answers += repr(response.headers).encode() + response.content
        return response.json()

    def good(self, method: str, params: Any, authorization: str = USER_TOKEN) -> Any:
        return self(method, params, authorization)["result"]


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network().running() as network:
        yield network


@pytest.fixture(scope="module")
def marked(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("secrets"), SETTINGS % network.port)
    network.lead_to(stack.port)
    with ExitStack() as at_end:
        at_end.callback(stack.stop)
        stack.start()
        add_person(stack, "alice", secret=USER_TOKEN)
        add_person(stack, "bob", secret=OTHER_TOKEN)
        yield stack


def folder_of(stack: Stack, job_id: str) -> Path:
    (folder,) = (stack.data / "local").rglob(f"ee.{job_id}.1")
    return folder


def is_in(place: Path, names: set[str]) -> bool:
    """Whether a path within the data folder is one of a job's files."""
    match = re.fullmatch(r"local/(?:.+/)?ee\.[0-9a-f]{24}\.1/(.+)", str(place))
    return match is not None and match[1] in names


def long_task(seconds: float, **more: Any) -> dict[str, Any]:
    return {"method": "sequence_tools.long_task", "params": [{"seconds": seconds, "lines_per_second": 5}], **more}


def misuse(call: Caller, job_id: str, secrets: Secrets) -> None:
    """Every secret where it does not belong, and good ones in calls that fail."""
    (ticket,), (credential,) = secrets.found["ticket"], secrets.found["credential"]
    attempt = {"job_id": job_id, "attempt": 1}
    everywhere = [
        BAD_TOKEN,
        f"Bearer {USER_TOKEN}",
        f"{USER_TOKEN} {OTHER_TOKEN}",
        ticket,
        credential,
        *(secret.decode() for secret in secrets.of("service token", "key")),
    ]
    for secret in everywhere:
        for method, params in (
            ("whoami", {}),
            ("check_job", {"job_id": job_id}),
            ("heartbeat", attempt),
            ("get_job_params", attempt | {"attempt": 2}),
            ("start_job", attempt | {"runner": "somebody-else-00001"}),
        ):
            call(method, params, secret)
    for secret in (USER_TOKEN, OTHER_TOKEN):
        call("check_job", {"job_id": "no such id"}, secret)
        call("run_job", {"method": "no_such.app"}, secret)
        call("cancel_job", {"job_id": "f" * 24}, secret)
        call("no_such_method", {}, secret)
        call("", {}, secret, b"{ not JSON")
        call("", {}, secret, b'{"version": "1.1", "method": "ExecutionEngine.whoami", "params": [1, 2], "id": 1}')
    call("finish_job", attempt | {"outcome": "terminated"}, credential)


def use(stack: Stack, call: Caller, job_id: str) -> None:
    """What people do with jobs, also from the command line."""
    call.good("check_job", {"job_id": job_id})
    call.good("share_job", {"job_id": job_id, "users": ["bob"]})
    call.good("get_logs", {"job_id": job_id}, OTHER_TOKEN)
    call.good("list_jobs", {"scope": "shared"}, OTHER_TOKEN)
    admin = stack.token("admin")
    call.good("check_job", {"job_id": job_id}, admin)
    call.good("list_audit", {}, admin)
    for command in (["show", job_id, "--json"], ["jobs", "-v"], ["audit", "--user", "admin"]):
        done = subprocess.run(
            [sys.executable, "-m", "execution_engine.cli.main", *command, "--data", str(stack.data)],
            capture_output=True,
            check=True,
        )
        call.answers += done.stdout + done.stderr


def test_nothing_secret_is_written_anywhere(marked: Stack, network: Network) -> None:
    stack, call, secrets = marked, Caller(marked), Secrets()
    secrets.add("token", *json.loads((stack.data / "tokens.json").read_text()).values(), BAD_TOKEN)
    secrets.add("service token", (stack.data / "service.token").read_text().strip())
    secrets.add("key", *(stack.data / "secret.key").read_text().split())
    wsid = stack.new_workspace("alice", bob="r")

    running = call.good("run_job", long_task(600))
    ended = call.good(
        "run_job", {"method": "sequence_tools.assembly_stats", "wsid": wsid, "params": [{"sequence": "NC_005816"}]}
    )
    call.good("run_jobs", {"jobs": [long_task(0.1)] * 3, "wsid": wsid})
    failed = call.good("run_job", {"method": "sequence_tools.assembly_stats", "params": [{"sequence": "no such"}]})
    stack.wait_for(running, "running")
    folder = folder_of(stack, running)
    runner = wait_until(lambda: json.loads((folder / "runner.json").read_text()).get("credential") and folder, 30)
    secrets.add("ticket", (runner / "ticket").read_text().strip())
    secrets.add("credential", json.loads((runner / "runner.json").read_text())["credential"])
    wait_until(lambda: call.good("get_logs", {"job_id": running})["lines"], 30)

    # The app alone has its token.
    assert in_process_lists(secrets.all()) == {"an app's environment"}
    assert not in_ps(secrets.all())
    places = in_files(stack.data, secrets.all())
    assert {place for place in places if str(place) not in SOURCES and not is_in(place, OF_RUNNING)} == set()
    assert {place.name for place in places} >= {"ticket", "runner.json", "token", *SOURCES}
    assert {place for place in places if stat.S_IMODE((stack.data / place).stat().st_mode) & 0o077} == set()

    misuse(call, running, secrets)
    use(stack, call, running)
    network.change(Weather.REFUSING)
    call("run_job", {"method": "sequence_tools.assembly_stats", "wsid": wsid}, USER_TOKEN)
    call("list_jobs", {"scope": "shared"}, OTHER_TOKEN)
    network.change(Weather.FAIR)
    for job_id in (ended, failed):
        stack.wait_for(job_id)
    call.good("get_report", {"job_id": ended})
    call.good("retry_jobs", {"job_ids": [failed]})
    call.good("hide_job", {"job_ids": [ended]})
    call.good("cancel_job", {"job_id": running, "reason": "enough"})
    stack.wait_for(running, "terminated")
    wait_until(lambda: not stack.database().jobs.count_documents({"active": True}), 60)

    assert [secret for secret in secrets.all() if secret in call.answers] == []
    wait_until(lambda: not stack.database().job_io.count_documents({"token": {"$exists": True}}), 30)
    # The app has printed nothing of it, so not even its log may have it.
    assert in_databases(mongo_url(stack), secrets.all()) == set()
    assert {str(place) for place in in_files(stack.data, secrets.all()) if not is_in(place, OF_ENDED)} == SOURCES
    assert in_files(stack.folder, secrets.all()) == {
        Path("data", place) for place in in_files(stack.data, secrets.all())
    }
    assert in_process_lists(secrets.all()) == set()


def test_the_search_finds_what_stands_in_a_database(marked: Stack) -> None:
    # Parameters are packed: the same search must see through that.
    call = Caller(marked)
    call.good("run_job", long_task(0.1, params=[{"note": "MARKEDPARAMETER"}]))
    found = in_databases(mongo_url(marked), [b"MARKEDPARAMETER"])
    assert found >= {"execution_engine.job_io", "local.oplog.rs"}


def mongo_url(stack: Stack) -> str:
    return str(json.loads((stack.data / "endpoints.json").read_text())["mongo"])


def test_a_new_key_is_put_before_the_old_one(tmp_path: Path) -> None:
    stack = Stack(tmp_path, IDLE)
    stack.start()
    key_file = stack.data / "secret.key"
    old = key_file.read_text()
    wsid = stack.new_workspace("alice")
    asked = {"method": "sequence_tools.assembly_stats", "wsid": wsid, "params": [{"sequence": "NC_005816"}]}
    before = stack.call("run_job", asked, "alice")
    encrypted = stack.database().job_io.find_one({"_id": f"{before}.in"})
    stack.stop()

    key_file.write_text(Fernet.generate_key().decode() + "\n" + old)
    (tmp_path / "user.cfg").write_text("")
    stack.start()
    try:
        after = stack.call("run_job", asked, "alice")
        for job_id in (before, after):
            # The app saves its report with the token that it was given.
            assert stack.wait_for(job_id)["status"] == "completed"
            assert stack.call("get_report", {"job_id": job_id}, "alice")["reports"]
        assert encrypted is not None
        with pytest.raises(InvalidToken):
            Fernet(key_file.read_text().split()[0]).decrypt(encrypted["token"])
    finally:
        stack.stop()
