"""An app's side of the contract: ``input.json``, ``output.json``, progress, and texts on the console.

The working directory is the job's folder. The environment says the rest: EE_PROGRESS names the progress file, EE_WSID
the workspace of the job, KB_AUTH_TOKEN is the submitter's token.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


class AppError(Exception):
    """Something that the user can put right: says what is wrong and what to do."""


def say(text: str) -> None:
    """Print a line for the job's log."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Job:
    """The job that this process executes. ``params``: what the user gave, one structure.

    Raises:
        AppError: the job has not exactly one structure of parameters.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._progress = os.environ.get("EE_PROGRESS")
        request = json.loads((folder / "input.json").read_text(encoding="utf-8"))
        self.id: str = request["id"]
        self.method: str = request["method"]
        self.service_ver: str = request["context"].get("service_ver", "")
        self.params: dict[str, Any] = _only_structure(request["params"])
        self.wsid = int(os.environ["EE_WSID"]) if "EE_WSID" in os.environ else None

    def progress(self, percent: float, message: str) -> None:
        """Tell how far the work is; also prints the message."""
        say(message)
        if self._progress is not None:
            replace(Path(self._progress), {"percent": round(percent, 1), "message": message})


def leave_result(folder: Path, result: dict[str, Any]) -> None:
    """Leave the value that the method returns."""
    replace(folder / "output.json", {"version": "1.1", "result": [result]})


def leave_error(folder: Path, message: str, details: str = "") -> None:
    """Leave the reason why there is no result. ``details``: for those who mend the app, such as a traceback."""
    error = {"code": -32000, "name": "Server error", "message": message, "error": details}
    replace(folder / "output.json", {"version": "1.1", "error": error})


def replace(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file that nobody can see half written."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.replace(path)


def _only_structure(params: list[Any]) -> dict[str, Any]:
    if len(params) != 1 or not isinstance(params[0], dict):
        raise AppError('Give one structure as parameter, such as [{"sequence": "NC_005816"}].')
    return params[0]
