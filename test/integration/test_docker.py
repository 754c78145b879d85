"""The image, built and run on a real Docker engine; test/clusters/start-docker.sh brings one up."""

import configparser
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parents[2]
ENGINE_SOCKET = Path(os.environ.get("EE_DOCKER_DIR", f"{tempfile.gettempdir()}/ee-clusters/docker")) / "docker.sock"


class Docker:
    """The docker command, talking to the engine that the environment names or start-docker.sh started."""

    def __init__(self) -> None:
        self.environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
        if "DOCKER_HOST" not in os.environ and ENGINE_SOCKET.exists():
            self.environment["DOCKER_HOST"] = f"unix://{ENGINE_SOCKET}"

    def run(self, *arguments: Any, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["docker", *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{command}: {done.stderr}"
        return done

    def works(self) -> bool:
        return shutil.which("docker") is not None and self.run("version", check=False).returncode == 0

    def inspect(self, container: str, template: str) -> str:
        return self.run("inspect", "--format", template, container).stdout.strip()


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module")
def docker() -> Docker:
    found = Docker()
    if not found.works():
        pytest.skip("no Docker engine; test/clusters/start-docker.sh starts one")
    return found


@pytest.fixture(scope="module")
def image(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Built as `make image` does it, from a base image of this machine's own Python."""
    context = tmp_path_factory.mktemp("context")
    base = context / "base.tar"
    subprocess.run([sys.executable, ROOT / "test/clusters/base_image.py", base], check=True)
    docker.run("import", "--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin", base, "ee-test-base")
    base.unlink()
    source = context / "source"
    shutil.copytree(
        ROOT / "execution_engine", source / "execution_engine", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    wheels = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", context / "wheels", source, "pip"]
    subprocess.run(wheels, check=True)
    shutil.copy(ROOT / "Dockerfile", context)
    shutil.copy(ROOT / ".dockerignore", context)
    build = ("build", "--network", "none", "--build-arg", "BASE_IMAGE=ee-test-base", "--tag", "ee-test", context)
    docker.run(*build)
    return "ee-test"


@pytest.fixture
def deployment(stack: Any, tmp_path: Path) -> Iterator[Path]:
    """A folder with a deploy.cfg for one more web server on the database and the services of a running engine."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(stack.data / "deploy.cfg")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config["execution_engine"].update(
        {
            "port": str(port),
            "data-dir": "/tmp",
            "embedded-services": "false",
            "service-token-file": "",
            "token-key-file": "/etc/execution-engine/secret.key",
        }
    )
    shutil.copy(stack.data / "secret.key", tmp_path)
    with (tmp_path / "deploy.cfg").open("w") as file:
        config.write(file)
    tmp_path.chmod(0o755)
    for file_name in ("secret.key", "deploy.cfg"):
        (tmp_path / file_name).chmod(0o644)  # the container's account is another one
    database_socket = stack.data / "mongo" / "run" / "mongod.sock"
    database_socket.chmod(0o777)
    yield tmp_path
    database_socket.chmod(0o700)


class Container:
    """One container of the image with a deployment mounted."""

    def __init__(self, docker: Docker, image: str, deployment: Path, stack: Any, *arguments: str) -> None:
        database_socket = stack.data / "mongo" / "run" / "mongod.sock"
        self.docker = docker
        port = self.port_in(deployment)
        self.url = f"http://127.0.0.1:{port}/services/ee"
        self.id = docker.run(
            *("run", "--detach", "--network", "host", "--health-interval", "1s", "--env", f"EE_URL={self.url}"),
            *("--volume", f"{deployment}:/etc/execution-engine:ro", "--volume", f"{database_socket}:{database_socket}"),
            *(image, *arguments),
        ).stdout.strip()

    @staticmethod
    def port_in(deployment: Path) -> str:
        config = configparser.ConfigParser(interpolation=None)
        config.read(deployment / "deploy.cfg")
        return config["execution_engine"]["port"]

    def log(self) -> str:
        done = self.docker.run("logs", self.id)
        return done.stdout + done.stderr

    def wait_until_healthy(self) -> None:
        def is_decided() -> bool:
            return self.docker.inspect(self.id, "{{.State.Running}} {{.State.Health.Status}}") != "true starting"

        assert wait_until(is_decided)
        state = self.docker.inspect(self.id, "{{json .State}}")
        assert json.loads(state)["Health"]["Status"] == "healthy", state + self.log()

    def call(self, method: str, params: dict[str, Any], token: str) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": f"ExecutionEngine.{method}", "params": params}
        return requests.post(self.url, json=request, headers={"Authorization": token}, timeout=30).json()["result"]


@pytest.fixture
def start(docker: Docker, image: str, deployment: Path, stack: Any) -> Iterator[Callable[..., Container]]:
    started: list[Container] = []

    def run(*arguments: str) -> Container:
        started.append(Container(docker, image, deployment, stack, *arguments))
        return started[-1]

    yield run
    for container in started:
        docker.run("rm", "--force", container.id)


def test_the_web_server_takes_a_job_with_a_mounted_deploy_cfg(start: Any, docker: Docker, stack: Any) -> None:
    web = start()
    web.wait_until_healthy()
    token = json.loads((stack.data / "tokens.json").read_text())["alice"]
    job = {"method": "sequence_tools.assembly_stats", "params": [{"sequence": "NC_005816"}]}
    job_id = web.call("run_job", job, token)
    assert wait_until(lambda: "finished" in web.call("check_job", {"job_id": job_id}, token))
    record = web.call("check_job", {"job_id": job_id}, token)
    assert record["status"] == "completed", record
    docker.run("stop", "--time", "20", web.id)
    assert docker.inspect(web.id, "{{.State.ExitCode}}") == "0"


def test_no_process_runs_as_root(start: Any, docker: Docker) -> None:
    web = start()
    assert docker.inspect(web.id, "{{.Config.User}}") == "10001:10001"
    web.wait_until_healthy()
    ask = "import glob, os; print(*{os.stat(p).st_uid for p in glob.glob('/proc/[0-9]*')})"
    assert docker.run("exec", web.id, "python3", "-c", ask).stdout.split() == ["10001"]


def test_the_dispatcher_starts_and_stops_on_request(start: Any, docker: Docker) -> None:
    dispatcher = start("dispatcher")
    # It is at work, or stands by, once it listens for SIGTERM; what has not said so ignores it as process 1.
    ask = "import re; print(int(re.search(r'SigCgt:\\s+(\\w+)', open('/proc/1/status').read())[1], 16) >> 14 & 1)"
    assert wait_until(lambda: docker.run("exec", dispatcher.id, "python3", "-c", ask).stdout.strip() == "1")
    docker.run("stop", "--time", "20", dispatcher.id)
    assert docker.inspect(dispatcher.id, "{{.State.ExitCode}}") == "0", dispatcher.log()


def test_without_a_deploy_cfg_it_says_what_is_missing(image: str, docker: Docker) -> None:
    done = docker.run("run", "--rm", "--network", "none", image, check=False)
    assert done.returncode != 0
    assert "/etc/execution-engine/deploy.cfg can't be read" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_image_is_small(image: str, docker: Docker) -> None:
    base, whole = (
        int(docker.run("image", "inspect", "--format", "{{.Size}}", name).stdout) for name in ("ee-test-base", image)
    )
    assert whole - base < 80_000_000
