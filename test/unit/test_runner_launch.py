import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from execution_engine.runner.environment import app_environment
from execution_engine.runner.folder import JobFolder
from execution_engine.runner.launch import launch, resolve
from execution_engine.runner.trouble import Trouble
from execution_engine.runner.work import Work

HOST = socket.gethostname()


@pytest.fixture
def app_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "app"
    (directory / "data").mkdir(parents=True)
    (directory / "tool.py").write_text("")
    (directory / "data" / "genes.tsv").write_text("")
    return directory


def script(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return path.name


def start(app_dir: Path, *command: str) -> subprocess.Popen[bytes]:
    app = {"kind": "command", "command": list(command), "directory": str(app_dir)}
    environment = {"PATH": "/usr/bin:/bin"}
    return launch(app, folder=app_dir, environment=environment, account=None)


def trouble(app_dir: Path, *command: str) -> Trouble:
    with pytest.raises(Trouble) as caught:
        start(app_dir, *command)
    return caught.value


def test_the_command_gets_absolute_paths(app_dir: Path) -> None:
    command = ["sh", "tool.py", "data/genes.tsv", "stats", "data", "--flag", "", "/etc/passwd"]
    assert resolve(command, app_dir, "/usr/bin:/bin") == [
        shutil.which("sh", path="/usr/bin:/bin"),
        f"{app_dir}/tool.py",
        f"{app_dir}/data/genes.tsv",
        "stats",
        "data",
        "--flag",
        "",
        "/etc/passwd",
    ]


def test_python3_is_that_of_the_path_or_our_own(app_dir: Path, tmp_path: Path) -> None:
    script(tmp_path / "python3", "#!/bin/sh\n")
    assert resolve(["python3"], app_dir, str(tmp_path)) == [str(tmp_path / "python3")]
    assert resolve(["python3"], app_dir, "/nowhere") == [sys.executable]


def test_a_program_of_the_app_itself(app_dir: Path) -> None:
    script(app_dir / "run", "#!/bin/sh\necho I am $0\n")
    for command in ("run", "./run"):
        out, _ = start(app_dir, command).communicate()
        assert out.decode().endswith("/app/run\n")


def test_a_program_that_is_nowhere(app_dir: Path) -> None:
    problem = trouble(app_dir, "blastp", "-v")
    assert problem.code == "app_not_executable"
    assert problem.message == (
        f"The app's program blastp is neither on PATH (/usr/bin:/bin) nor in {app_dir} on the worker {HOST}: install"
        " it there, or correct the app's command."
    )


def test_an_app_that_is_not_installed_on_this_worker(tmp_path: Path) -> None:
    problem = trouble(tmp_path / "gone", "python3", "tool.py")
    assert problem.code == "app_not_executable"
    assert (
        problem.message
        == f"The app's folder {tmp_path}/gone does not exist on the worker {HOST}: install the app there."
    )


@pytest.mark.parametrize(
    ("command", "text", "mode", "why"),
    [
        ("./gone", None, 0, "there is no such file; install it there, or correct the app's command."),
        ("./plain", "#!/bin/sh\n", 0o644, "permission denied; make it executable (chmod +x {program})."),
        (
            "./bad",
            "#!/no/such/python\n",
            0o755,
            "the interpreter that its first line names does not exist; install it or",
        ),
        ("./data.bin", "\0\1\2", 0o755, "it is no program of this machine; its first line must name an interpreter"),
    ],
)
def test_a_program_that_can_not_be_executed(app_dir: Path, command: str, text: str | None, mode: int, why: str) -> None:
    if text is not None:
        script(app_dir / command, text, mode)
    problem = trouble(app_dir, command)
    program = f"{app_dir}/{command[2:]}"
    assert problem.code == "app_not_executable"
    assert problem.message.startswith(f"The app's program {program} can't be executed on the worker {HOST}: ")
    assert why.format(program=program) in problem.message


def test_a_machine_that_starts_no_more_processes(app_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def popen(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", popen)
    problem = trouble(app_dir, "sh")
    assert problem.code == "start_failed"
    assert problem.message.endswith("/sh could not be started: Resource temporarily unavailable.")


@pytest.mark.parametrize(
    ("app", "named"), [({"kind": "container", "image": "kbase/x:1"}, "container (kbase/x:1)"), ({}, "None")]
)
def test_an_app_of_another_kind(app_dir: Path, app: dict[str, Any], named: str) -> None:
    with pytest.raises(Trouble) as caught:
        launch(app, folder=app_dir, environment={}, account=None)
    assert caught.value.code == "container_unsupported"
    assert caught.value.message == f"The app is of kind {named}, and the worker {HOST} runs only command apps."


def test_the_app_is_cut_off_from_the_runner(app_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_RUNNER", "x")
    lock, other = os.pipe()
    os.set_inheritable(lock, True)
    os.set_inheritable(other, True)
    seen, _ = start(app_dir, "sh", "-c", "env; ls -l /proc/self/fd; ps -o sid= -p $$").communicate()
    os.close(lock)
    os.close(other)
    text = seen.decode()
    assert "SECRET_OF_THE_RUNNER" not in text
    assert f" {lock} -> " not in text
    assert f" {other} -> " not in text
    assert int(text.split()[-1]) != os.getsid(0)


def work(**changed: Any) -> Work:
    answer = {
        "job_id": "65f000000000000000000001",
        "user": "alice",
        "method": "sequence_tools.assembly_stats",
        "params": [{"sequence": "NC_005816"}],
        "service_ver": "abc123",
        "app": {
            "kind": "command",
            "command": ["true"],
            "directory": "/apps/x",
            "env": {"PATH": "/evil", "MODE": "fast"},
        },
        "services": {"workspace": "http://h/services/ws", "auth": "http://h/services/auth"},
        "limits": {"output_bytes": 100, "line_chars": 100, "lines_per_call": 10},
    }
    return Work({**answer, **changed})


def test_the_environment_of_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    folder = JobFolder(tmp_path)
    assert app_environment(work(token="tok", wsid=7), folder, 3) == {
        "MODE": "fast",
        "PATH": "/usr/bin:/bin",
        "HOME": f"{tmp_path}/work",
        "LANG": "C.UTF-8",
        "TMPDIR": f"{tmp_path}/work/tmp",
        "PYTHONUNBUFFERED": "1",
        "EE_JOB_ID": "65f000000000000000000001",
        "EE_ATTEMPT_TAG": "ee.65f000000000000000000001.3",
        "EE_APP_DIR": "/apps/x",
        "EE_PROGRESS": f"{tmp_path}/work/progress.json",
        "EE_SCRATCH": f"{tmp_path}/work/tmp",
        "EE_WSID": "7",
        "KB_AUTH_TOKEN": "tok",
        "EE_WORKSPACE_URL": "http://h/services/ws",
        "EE_AUTH_URL": "http://h/services/auth",
    }
    without = app_environment(work(), folder, 3)
    assert "KB_AUTH_TOKEN" not in without
    assert "EE_WSID" not in without


def test_what_the_app_finds_in_its_folder(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "job")
    folder.claim("r" * 32)
    folder.keep_credential("r" * 32, "eec_x")
    folder.prepare(work(token="tok", wsid=7), None)
    assert folder.input.read_text() == (
        '{"version": "1.1", "id": "65f000000000000000000001", "method": "sequence_tools.assembly_stats",'
        ' "params": [{"sequence": "NC_005816"}], "context": {"service_ver": "abc123", "user": "alice", "wsid": 7}}'
    )
    assert folder.token.read_text() == "tok"
    for path, mode in ((folder.root, 0o700), (folder.identity, 0o600), (folder.token, 0o600), (folder.work, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    folder.forget_token()
    assert not folder.token.exists()


def test_a_second_runner_in_the_folder_is_noticed(tmp_path: Path) -> None:
    JobFolder(tmp_path).claim("a" * 32)
    with pytest.raises(FileExistsError):
        JobFolder(tmp_path).claim("b" * 32)


def test_a_folder_that_can_not_be_laid_out(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.work.write_text("in the way")
    with pytest.raises(
        Trouble, match=f"The job's folder {tmp_path} on {HOST} can't be prepared: .*File exists"
    ) as caught:
        folder.prepare(work(), None)
    assert caught.value.code == "setup_failed"


def test_a_full_disk_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mkdir(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(Trouble) as caught:
        JobFolder(tmp_path).prepare(work(), None)
    assert caught.value.code == "disk_full"
    assert (
        caught.value.message == f"The disk of the job's folder {tmp_path} on {HOST} is full: No space left on device."
    )


def test_a_description_that_lacks_something() -> None:
    with pytest.raises(Trouble, match="description of the job lacks 'user'") as caught:
        Work({"job_id": "j"})
    assert caught.value.code == "start_failed"
