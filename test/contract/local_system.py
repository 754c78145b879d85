"""The local backend with a stand-in runner, as the tests of the contract and of the backend itself use it."""

import sys
from pathlib import Path
from typing import Any

from system import STAND_IN, System, alive, submit, until, until_state

from execution_engine.backends.base import Submission
from execution_engine.backends.local import LocalBackend, processes

RUNNER = [sys.executable, "-I", "-S", str(STAND_IN)]

__all__ = ["RUNNER", "LocalSystem", "alive", "submit", "until", "until_state"]


class LocalSystem(System):
    """A spool below ``folder``."""

    def __init__(self, folder: Path, signs_name: str = "signs") -> None:
        super().__init__(folder, signs_name)
        self.spool = folder / "local"

    def backend(self, **settings: Any) -> LocalBackend:
        """``settings``: arguments of the backend."""
        chosen = {"cpus": self.cpus, "memory_mb": self.memory_mb, "run_as": "none", **settings}
        command = chosen.pop("runner_command", RUNNER)
        return LocalBackend("local", self.spool, command, str(self.signs), **chosen)

    def break_down(self) -> None:
        self.spool.rename(self.spool.with_name("hidden"))
        self.spool.write_text("a file where the folder should be")

    def repair(self) -> None:
        self.spool.unlink()
        self.spool.with_name("hidden").rename(self.spool)

    def hide(self, job: Submission) -> None:
        (self.spool / job.tag).symlink_to(job.tag)

    def end(self) -> None:
        processes.kill_all(self.tags)
        self.remove_signs()
