"""A whole simulated AWE: a server, workers, and the program that operators install on the workers."""

import os
import sys
from pathlib import Path
from typing import Any

from execution_engine.backends.awe import keeper, worker_program
from execution_engine.backends.local import processes
from test.awe_simulator.model import Version
from test.awe_simulator.server import simulate
from test.awe_simulator.state import PUBLIC
from test.awe_simulator.worker import AweWorker

COMMAND = "ee-runner"


class AweSite:
    """Everything below ``folder``; the programs of its ``bin`` are in the workers' PATH."""

    def __init__(self, folder: Path, version: Version, **options: Any) -> None:
        """``options``: of the server, see :func:`simulate`."""
        self.folder = folder
        self.server = simulate(version, **options)
        self.state = self.server.state
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        self.workers: list[AweWorker] = []

    def install_runner(self) -> None:
        """The real one."""
        worker_program.write(self.bin / COMMAND)

    def install(self, runner: list[str]) -> None:
        """Another runner, in the real keeper."""
        program = self.bin / COMMAND
        program.write_text(
            f"#!{sys.executable} -IS\nimport sys\nsys.path.insert(0, {str(Path(keeper.__file__).parent)!r})\n"
            f"from keeper import main\nsys.exit(main(sys.argv[1:], {runner!r}))\n"
        )
        program.chmod(0o755)

    def add_worker(self, group: str = "kbase", cores: int = 8, **speed: float) -> AweWorker:
        path = os.pathsep.join([str(self.bin), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        self.workers.append(AweWorker(self.state, self.folder / "work", path, group=group, cores=cores, **speed))
        return self.workers[-1]

    def post(self, document: dict[str, Any]) -> str:
        """A job of somebody; its id."""
        return self.state.submit(document, PUBLIC).id

    def post_again(self, job_id: str) -> str:
        """The same document once more, as from a proxy that repeats requests; the second job's id."""
        job = self.state.jobs[job_id]
        environment = job.command["environ"] | {"private": job.private}
        return self.post({"info": job.info, "tasks": [{"cmd": job.command | {"environ": environment}}]})

    def tags(self) -> list[str]:
        """Of all jobs that were ever submitted."""
        return [str(job.info.get("userattr", {}).get("ee_tag", "")) for job in self.state.jobs.values()]

    def end(self) -> None:
        """No process is left."""
        for worker in self.workers:
            worker.kill()
        tags = self.tags()
        self.server.stop()
        processes.kill_all(tags)
