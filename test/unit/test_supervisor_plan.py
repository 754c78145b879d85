import fcntl
import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from execution_engine.core.errors import ConfigurationError
from execution_engine.embedded import stack
from execution_engine.embedded.folder import LOCK_NAME, data_folder
from execution_engine.embedded.plan import Plan, Wishes, make_plan
from execution_engine.embedded.ports import is_loopback, usable_port
from execution_engine.embedded.stack import endpoints

Planner = Callable[..., Plan]


@pytest.fixture
def plan(tmp_path: Path) -> Planner:
    """Plans for one data folder, with a program in mongod's place and the text of a user's deploy.cfg."""
    program = tmp_path / "mongod"
    program.write_text("#!/bin/sh\necho 'db version v6.0.5'\n")
    program.chmod(0o755)

    def make(config: str = "", **wishes: Any) -> Plan:
        file = tmp_path / "mine.cfg"
        file.write_text(config)
        (tmp_path / "data").mkdir(exist_ok=True)
        wished = {"port": 0, "mongod": str(program), "config_file": str(file)} | wishes
        return make_plan(tmp_path / "data", Wishes(**wished))

    return make


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_first_plan_has_everything_in_the_data_folder(plan: Planner, tmp_path: Path) -> None:
    settled = plan()
    settings, data = settled.settings, tmp_path / "data"
    assert settled.mongod is not None
    assert settings.mongo_url == settled.mongod.url
    assert settings.data_dir == str(data)
    assert settings.external_url == settings.worker_url == f"http://127.0.0.1:{settings.port}/services/ee"
    assert settings.auth_url == f"http://127.0.0.1:{settled.services_port}/services/auth"
    assert settings.embedded_services
    assert settings.heartbeat_write_seconds < settings.heartbeat_seconds == 1.0, "progress is seen as it is made"
    Fernet((data / "secret.key").read_text().strip())
    assert (mode(data / "secret.key"), mode(data / "deploy.cfg"), mode(data / "mongo")) == (0o600, 0o600, 0o700)


def test_a_second_plan_keeps_the_key_and_the_port_of_the_services(plan: Planner, tmp_path: Path) -> None:
    first, key = plan(), (tmp_path / "data" / "secret.key").read_text()
    second = plan()
    assert (tmp_path / "data" / "secret.key").read_text() == key
    assert second.services_port == first.services_port
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", first.services_port))
        other.listen()
        assert plan().services_port != first.services_port


def test_the_users_file_wins_key_by_key(plan: Planner) -> None:
    settled = plan(
        "[execution_engine]\nweb-threads = 3\nmongo-database = mine\n[backend:local]\nkind = local\ncpus = 7\n"
    )
    assert settled.settings.web_threads == 3
    assert settled.settings.mongo_database == "mine"
    assert settled.settings.backends["local"].options == {"cpus": "7"}
    assert settled.mongod is not None
    assert settled.settings.mongo_url == settled.mongod.url, "what the user does not say stays"


def test_a_database_of_the_users_own_needs_no_mongod(plan: Planner) -> None:
    settled = plan("[execution_engine]\nmongo-url = mongodb://db.example/?tls=true&appName=%2F\n", mongod="/nowhere")
    assert settled.mongod is None
    assert settled.settings.mongo_url == "mongodb://db.example/?tls=true&appName=%2F"


def test_services_of_the_users_own_replace_the_embedded_ones(plan: Planner) -> None:
    own = {name: f"https://kbase.example/services/{name}" for name in ("auth", "workspace", "catalog")}
    lines = "".join(f"{name}-url = {url}\n" for name, url in own.items())
    settled = plan(f"[execution_engine]\n{lines}")
    assert not settled.settings.embedded_services
    assert settled.settings.service_token_file == ""
    assert endpoints(settled).items() >= own.items()


def test_the_command_line_wins_over_the_users_file(plan: Planner) -> None:
    free = usable_port("127.0.0.1", 0)
    config = f"[execution_engine]\nport = {free}\nhost = localhost\n"
    assert plan(config, port=None).settings.port == free
    assert plan(config, port=None).settings.host == "localhost"
    assert plan(config, port=0).settings.port != free
    assert plan(config, host="127.0.0.1").settings.host == "127.0.0.1"


def test_the_generated_file_named_as_the_users_is_passed_over(plan: Planner, tmp_path: Path) -> None:
    before = plan("[execution_engine]\nweb-threads = 3\n")
    again = plan(config_file=str(tmp_path / "data" / "deploy.cfg"))
    assert again.mongod == before.mongod
    assert again.settings.web_threads != 3


def test_a_wrong_file_is_refused_before_anything_is_written(plan: Planner, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no setting 'colour'"):
        plan("[execution_engine]\ncolour = red\n")
    assert list((tmp_path / "data").iterdir()) == []


def test_an_address_for_all_is_told_by_the_machines_name(plan: Planner) -> None:
    settled = plan(host="0.0.0.0")  # noqa: S104 - only planned
    assert settled.settings.external_url == f"http://{socket.gethostname()}:{settled.settings.port}/services/ee"
    assert settled.settings.worker_url == f"http://127.0.0.1:{settled.settings.port}/services/ee"


def test_the_endpoints_are_those_of_the_web_server(plan: Planner) -> None:
    settled = plan()
    base = f"http://127.0.0.1:{settled.settings.port}/services"
    assert endpoints(settled) == {
        "execution_engine": f"{base}/ee",
        "auth": f"{base}/auth",
        "workspace": f"{base}/ws",
        "catalog": f"{base}/catalog",
        "mongo": settled.settings.mongo_url,
    }


@pytest.mark.parametrize(
    ("host", "is_it"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("db", False)],  # noqa: S104
)
def test_loopback(host: str, is_it: bool) -> None:
    assert is_loopback(host) is is_it


def test_a_port_for_the_mighty_and_an_address_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"Can't listen on port 0 of 192\.0\.2\.1"):
        usable_port("192.0.2.1", 0)

    def refuse(*_args: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ConfigurationError, match=r"Port 80 on 127\.0\.0\.1 is not for this account"):
        usable_port("127.0.0.1", 80)


def test_a_data_folder_is_held_by_one(tmp_path: Path) -> None:
    with data_folder(tmp_path / "a" / "b") as folder:
        assert folder.is_dir()
        with pytest.raises(ConfigurationError, match=rf"\(process {os.getpid()}\) already runs on {folder}"):
            data_folder(folder).__enter__()
        assert (folder / LOCK_NAME).exists(), "the refused one left it alone"
    with data_folder(tmp_path / "a" / "b"):
        pass
    assert list(folder.iterdir()) == []


def test_a_lock_that_its_holder_has_just_removed_is_not_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, flock = tmp_path / LOCK_NAME, fcntl.flock
    tries: list[int] = []

    def slow_flock(descriptor: int, operation: int) -> None:
        if not tries:
            lock.unlink()
        tries.append(descriptor)
        flock(descriptor, operation)

    with monkeypatch.context() as race:
        race.setattr(fcntl, "flock", slow_flock)
        held = data_folder(tmp_path)
        held.__enter__()
    assert len(tries) == 2
    assert lock.read_text() == f"{os.getpid()}\n"
    with pytest.raises(ConfigurationError, match="already runs"):
        data_folder(tmp_path).__enter__()
    held.__exit__(None, None, None)


def test_only_a_server_that_does_not_fail_counts_as_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        status = 500

        def __init__(self, *_args: Any, **_options: Any) -> None: ...
        def request(self, *_args: Any) -> None: ...
        def close(self) -> None: ...
        def getresponse(self) -> Any:
            return self

        def read(self) -> bytes:
            return b"{}"

    monkeypatch.setattr(stack.http.client, "HTTPConnection", Connection)
    assert stack._answer("127.0.0.1", 1, "GET", "/") is None
    monkeypatch.setattr(Connection, "status", 404)
    assert stack._answer("127.0.0.1", 1, "GET", "/") == b"{}"
    monkeypatch.undo()
    assert stack._answer("127.0.0.1", 1, "GET", "/") is None


@pytest.mark.parametrize(
    ("answer", "runs"),
    [
        (None, False),
        ({"result": {"dependencies": {}}}, False),
        ({"result": {"dependencies": {"dispatcher": {"state": "down", "message": ""}}}}, False),
        ({"result": {"dependencies": {"dispatcher": {"state": "up", "message": ""}}}}, True),
    ],
)
def test_the_dispatcher_is_ready_when_the_engine_says_so(
    plan: Planner, monkeypatch: pytest.MonkeyPatch, answer: Any, runs: bool
) -> None:
    monkeypatch.setattr(stack, "_answer", lambda *_: None if answer is None else json.dumps(answer).encode())
    assert stack._dispatcher_runs(plan()) is runs
