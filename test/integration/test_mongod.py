import contextlib
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from execution_engine.core.errors import ConfigurationError
from execution_engine.embedded import mongod as mongod_module
from execution_engine.embedded.mongod import SOCKET_PATH_BYTES, Mongod, find_mongod, version_of


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[Mongod, Any, "subprocess.Popen[bytes]"]]:
    """A mongod on the folder, a client of it, and its process."""
    mongod = Mongod.in_folder(folder, find_mongod())
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(mongod.command(), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not mongod.ready():
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pymongo.MongoClient[Any](mongod.url, serverSelectionTimeoutMS=3000) as client:
            yield mongod, client, process
    finally:
        process.terminate()
        process.wait()
        mongod.remove_socket_folder()


def test_it_is_a_replica_set_of_one_behind_a_private_socket(tmp_path: Path) -> None:
    with running(tmp_path / "mongo") as (mongod, client, process):
        hello = client.admin.command("hello")
        assert hello["isWritablePrimary"]
        assert hello["hosts"] == [str(mongod.socket)]
        assert stat.S_IMODE(mongod.socket.parent.stat().st_mode) == 0o700
        open_files = {str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir() if link.is_symlink()}
        listening = Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]
        tcp = [line for line in listening if f"socket:[{line.split()[9]}]" in open_files]
        assert tcp == [], "it must not listen on the network"
        with client.start_session() as session, session.start_transaction():
            client.example.jobs.insert_one({"_id": 1}, session=session)
        assert client.example.jobs.count_documents({}) == 1


def test_acknowledged_writes_survive_a_kill(tmp_path: Path) -> None:
    with running(tmp_path / "mongo") as (_, client, process):
        journaled = client.example.get_collection("jobs", write_concern=pymongo.WriteConcern(w="majority", j=True))
        journaled.insert_many([{"_id": n} for n in range(1000)])
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running(tmp_path / "mongo") as (_, client, _):
        assert client.example.jobs.count_documents({}) == 1000


def test_a_moved_data_folder_works_at_its_new_place(tmp_path: Path) -> None:
    with running(tmp_path / "here") as (_, client, _):
        client.example.jobs.insert_one({"_id": 1})
    (tmp_path / "here").rename(tmp_path / "there")
    with running(tmp_path / "there") as (mongod, client, _):
        assert client.example.jobs.find_one() == {"_id": 1}
        assert client.admin.command("hello")["hosts"] == [str(mongod.socket)]


def test_blanks_in_the_path_do_no_harm(tmp_path: Path) -> None:
    with running(tmp_path / "my data" / "mongo") as (mongod, client, _):
        assert mongod.socket.is_relative_to(tmp_path)
        client.example.jobs.insert_one({})


@pytest.mark.parametrize("name", ["long" * 30, "My Projects", "data,more:ä%20"], ids=["long", "capitals", "others"])
def test_a_path_that_can_not_be_a_sockets_gets_another_one_that_stays(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    sockets = []
    for _ in range(2):
        with running(folder) as (mongod, client, _):
            client.example.jobs.insert_one({})
            assert len(bytes(mongod.socket)) <= SOCKET_PATH_BYTES
            assert stat.S_IMODE(mongod.socket.parent.stat().st_mode) == 0o700
            sockets.append(mongod.socket)
        assert not mongod.socket.parent.exists()
    assert sockets[0] == sockets[1]


def test_a_folder_for_sockets_that_others_can_enter_is_not_used(tmp_path: Path) -> None:
    first = Mongod.in_folder(tmp_path / "Data", find_mongod())
    first.socket.parent.chmod(0o755)
    second = Mongod.in_folder(tmp_path / "Data", find_mongod())
    assert second.socket.parent != first.socket.parent
    assert stat.S_IMODE(second.socket.parent.stat().st_mode) == 0o700
    for mongod in (first, second):
        mongod.remove_socket_folder()


def test_a_folder_for_temporary_files_with_capitals_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, variable in (("Run", "XDG_RUNTIME_DIR"), ("Temp", "TMPDIR")):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setattr(tempfile, "tempdir", None)
    mongod = Mongod.in_folder(tmp_path / "Data", find_mongod())
    assert mongod.socket.parent.parent == Path("/tmp")
    mongod.remove_socket_folder()


def test_a_folder_in_use_is_refused_with_the_process(tmp_path: Path) -> None:
    with running(tmp_path / "mongo") as (_, _, process), pytest.raises(ConfigurationError) as refused:
        Mongod.in_folder(tmp_path / "mongo", find_mongod())
    assert f"Another mongod (process {process.pid}) uses the database in {tmp_path}/mongo/db." in refused.value.message
    assert "EE_DATA" in refused.value.message


def test_a_named_program_wins_over_path_and_path_over_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path, named = tmp_path / "bin" / "mongod", tmp_path / "mine"
    on_path.parent.mkdir()
    for program in (on_path, named):
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_mongod(str(named)) == named
    assert find_mongod() == on_path
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_mongod().parts[-4:] == ("fiftyone", "db", "bin", "mongod")


def test_without_any_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mongod_module, "_wheel_mongod", lambda: None)
    with pytest.raises(ConfigurationError) as refused:
        find_mongod()
    for advice in (
        "pip install 'execution-engine[embedded]'",
        "MongoDB 6.0 or newer",
        "mongo-url",
        "KB_DEPLOYMENT_CONFIG",
    ):
        assert advice in refused.value.message
    with pytest.raises(ConfigurationError, match="/nowhere/mongod, which can't be executed"):
        find_mongod("/nowhere/mongod")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo 'db version v4.4.1'", "is MongoDB 4.4.1; the engine needs 6.0 or newer"),
        ("echo 'libssl.so.3: cannot open' >&2; exit 127", "does not run on this machine: libssl.so.3: cannot open"),
        ("exit 1", "does not run on this machine: it ended with exit code 1"),
    ],
)
def test_a_program_that_will_not_do_is_refused(tmp_path: Path, script: str, complaint: str) -> None:
    program = tmp_path / "mongod"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(ConfigurationError) as refused:
        version_of(program)
    assert complaint in refused.value.message
    assert str(program) in refused.value.message


def test_the_version_of_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert version_of(find_mongod()) >= (6, 0, 0)
