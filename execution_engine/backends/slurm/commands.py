"""Running Slurm's commands: in a small environment, within a time, their complaints in plain words."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from execution_engine.backends.slurm.session import Trouble


@dataclass(frozen=True, slots=True)
class Failure(Exception):
    """A command ended with an error; ``text`` is the last thing that it said."""

    command: str
    text: str


class Commands:
    """Starts the commands, which are looked for where the engine's own PATH says.

    Nothing else of the engine's environment is handed on: sbatch passes its own to the job. (Telling sbatch to pass
    nothing would be worse: then Slurm runs a login shell for each job.)
    """

    def __init__(self, slurm_conf: str, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        if slurm_conf:
            self._environment["SLURM_CONF"] = slurm_conf

    def run(self, command: Sequence[str], text: str = "") -> str:
        """What the command prints; ``text`` is its input.

        Raises:
            Failure: it ended with an error.
            Trouble: it is not there, or did not end in time.
        """
        try:
            done = subprocess.run(
                command,
                input=text.encode(),
                capture_output=True,
                cwd="/",
                env=self._environment,
                timeout=self._timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Trouble(f"{command[0]} did not answer within {self._timeout_seconds:g} s") from None
        except OSError as error:
            raise Trouble(f"{command[0]} can't be started: {error.strerror}") from error
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise Failure(command[0], lines[-1] if lines else f"it ended with code {done.returncode}")
        return done.stdout.decode(errors="replace")
