"""Errors as people read them in the terminal: each names what was wrong, and what to do."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Program = Callable[..., "subprocess.CompletedProcess[str]"]
WITHOUT_ROOT_POWERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Runs `execution-engine` in a folder of its own; ``before`` stands in front of the command."""

    def run(*words: str, before: tuple[str, ...] = (), **environment: str) -> "subprocess.CompletedProcess[str]":
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("EE_", "KB_"))}
        return subprocess.run(
            [*before, sys.executable, "-m", "execution_engine.cli.main", *words],
            env=clean | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def assert_says(done: "subprocess.CompletedProcess[str]", code: int, *texts: str) -> None:
    assert done.returncode == code, done.stderr
    for text in texts:
        assert text in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


# --- who starts an engine


def test_port_taken(program: Program, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = program("up", EE_PORT=str(port))
    advice = f"Choose another one with --port or EE_PORT, for example EE_PORT={port + 1}."
    assert_says(done, 1, f"Error: Port {port} on 127.0.0.1 is taken by another program. {advice}")
    assert list((tmp_path / "data").iterdir()) == [], "nothing was started"


def test_data_folder_not_writable(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "shelf"
    folder.mkdir()
    before: tuple[str, ...] = ()
    if os.geteuid() == 0:
        shutil.chown(folder, 65534)
        before = WITHOUT_ROOT_POWERS
    else:
        folder.chmod(0o500)
    done = program("up", EE_DATA=str(folder / "data"), before=before)
    said = f"Error: The data folder {folder}/data can't be written: Permission denied. "
    assert_says(done, 1, said + "Choose another one with --data or EE_DATA")


def test_data_folder_is_a_file(program: Program, tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert_says(program("up"), 1, f"Error: The data folder {tmp_path}/data can't be written: File exists.")


def test_no_mongod(program: Program, tmp_path: Path) -> None:
    hide_the_wheel = tmp_path / "fiftyone.py"  # shadows the package that has the program
    hide_the_wheel.touch()
    done = program("up", "--port", "0", PATH=str(tmp_path), PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[2]}")
    assert_says(done, 1, "Error: No MongoDB was found", "pip install 'execution-engine[embedded]'", "mongo-url")


def test_a_second_engine_on_the_same_data(program: Program, stack: Any) -> None:
    done = program("up", "--port", "0", "--data", str(stack.data))
    running = f"(process {stack.process.pid}) already runs on {stack.data}"
    assert_says(done, 1, f"Error: Another `execution-engine up` {running}. Stop it", "--data or EE_DATA")


def test_open_to_other_machines_only_on_request(program: Program) -> None:
    done = program("up", "--port", "0", "--host", "0.0.0.0")  # noqa: S104 - that is what is refused
    assert_says(done, 2, "0.0.0.0 can be reached from other machines", "add --allow-remote")


def test_a_wrong_setting(program: Program, tmp_path: Path) -> None:
    (tmp_path / "mine.cfg").write_text("[execution_engine]\nweb-worker = 4\n")
    done = program("up", "--port", "0", KB_DEPLOYMENT_CONFIG="mine.cfg")
    assert_says(done, 1, "mine.cfg: [execution_engine] has no setting 'web-worker'. Did you mean web-workers?")
    done = program("up", "--port", "0", KB_DEPLOYMENT_CONFIG="none.cfg")
    assert_says(done, 1, "The settings file none.cfg can't be read: No such file or directory.")


def test_a_database_that_does_not_answer(program: Program, tmp_path: Path) -> None:
    (tmp_path / "mine.cfg").write_text("[execution_engine]\nmongo-url = mongodb://me:SECRET@127.0.0.1:1/\n")
    done = program("up", "--port", "0", KB_DEPLOYMENT_CONFIG="mine.cfg")
    assert_says(done, 1, "The MongoDB that mongo-url names (127.0.0.1:1) can't be used")
    assert "SECRET" not in done.stderr


def test_a_setting_that_only_a_part_of_the_engine_uses(program: Program, tmp_path: Path) -> None:
    (tmp_path / "mine.cfg").write_text("[execution_engine]\ntoken-key-file = /nowhere/secret.key\n")
    done = program("up", "--port", "0", KB_DEPLOYMENT_CONFIG="mine.cfg")
    assert_says(done, 1, "Error: The key file /nowhere/secret.key (token-key-file) can't be read")
    (tmp_path / "mine.cfg").write_text("[backend:local]\nkind = local\ncpus = many\n")
    done = program("up", "--port", "0", KB_DEPLOYMENT_CONFIG="mine.cfg")
    assert_says(done, 1, "Error: [backend:local] cpus is 'many'; expected a whole number")


# --- who runs jobs


@pytest.fixture
def client(program: Program, stack: Any) -> Program:
    """As ``program``, with the running engine as the one that is meant."""

    def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return program(*words, **{"EE_URL": stack.url, "EE_TOKEN": stack.token("alice")} | environment)

    return run


def test_wrong_token(client: Program) -> None:
    done = client("jobs", EE_TOKEN="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    assert_says(done, 4, "Error: Token validation failed: ")


def test_no_token(client: Program) -> None:
    assert_says(client("jobs", EE_TOKEN=""), 2, "Error: No token: set EE_TOKEN, or name a file")


def test_unknown_job(client: Program) -> None:
    done = client("show", "650000000000000000000000")
    assert_says(done, 4, "Error: There is no job 650000000000000000000000, or you may not read it.")


def test_a_job_id_that_is_none(client: Program) -> None:
    assert_says(client("show", "yesterday's"), 4, "Error: ", "job_id", "yesterday's")


def test_app_not_found(client: Program) -> None:
    assert_says(client("submit", "no_such_module.run"), 4, "Error: The Catalog has no module no_such_module")


def test_no_engine_there(client: Program) -> None:
    done = client("jobs", EE_URL="http://127.0.0.1:1/services/ee")
    said = "Error: Can't reach the engine at http://127.0.0.1:1/services/ee: nothing answers there."
    assert_says(done, 3, said)


def test_another_program_there(client: Program, stack: Any) -> None:
    address = stack.url.removesuffix("/services/ee") + "/elsewhere"
    assert_says(client("jobs", EE_URL=address), 3, f"What answers at {address} is no Execution Engine (HTTP 404)")


def test_an_interrupted_wait_says_that_the_job_goes_on(stack: Any, tmp_path: Path) -> None:
    words = ("submit", "sequence_tools.long_task", "seconds=60", "lines_per_second=5", "--follow")
    process = subprocess.Popen(
        [sys.executable, "-m", "execution_engine.cli.main", *words],
        env=os.environ | {"EE_URL": stack.url, "EE_TOKEN": stack.token("alice")},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()  # it follows now
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    job_id = said.split()[1]
    assert f"The job goes on. To see more of it: execution-engine logs -f {job_id}" in said
    assert stack.call("check_job", {"job_id": job_id}, "alice")["status"] == "running"
    stack.call("cancel_job", {"job_id": job_id}, "alice")
    assert stack.wait_for(job_id)["status"] == "terminated"
