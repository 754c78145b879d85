"""What an app leaves in ``output.json``."""

from __future__ import annotations

import json

from .folder import read_app_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

SPACIOUS = 4  # a file may be so many times larger than the limit of what it holds: indentation, escapes


class Output:
    """``missing``: there is none. ``problem``: why it can't be used. Else ``result`` and its ``size``, or ``error``.

    ``size`` counts bytes of compact JSON text. ``error`` has message, name and error (often a traceback) as text.
    """

    def __init__(
        self,
        *,
        missing: bool = False,
        problem: str = "",
        result: list[Any] | None = None,
        size: int = 0,
        error: dict[str, str] | None = None,
    ) -> None:
        self.missing = missing
        self.problem = problem
        self.result = result
        self.size = size
        self.error = error


def read_output(path: Path, limit: int) -> Output:
    """The output in the file ``path``; of one far beyond ``limit`` bytes only the size."""
    try:
        text = read_app_file(path, SPACIOUS * limit + 1)
        if len(text) > SPACIOUS * limit:
            return Output(size=path.lstat().st_size)
    except FileNotFoundError:
        return Output(missing=True)
    except OSError as error:
        return Output(problem=f"The app's output.json can't be read: {error}.")
    try:
        found = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        return Output(problem=f"The app's output.json is no JSON: {error}.")
    except RecursionError:
        return Output(problem="The app's output.json is nested too deeply.")
    return _judge(found)


def _judge(found: Any) -> Output:
    if not isinstance(found, dict) or ("result" not in found and found.get("error") is None):
        return Output(problem="The app's output.json must hold an object with a result or an error.")
    if found.get("error") is not None:
        return Output(error=_error_texts(found["error"]))
    result = found["result"]
    if result is not None and not isinstance(result, list):
        return Output(problem=f"The result in output.json must be a list of values, not {json.dumps(result)[:100]}.")
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    return Output(result=result, size=len(text.encode("utf-8", "surrogatepass")))


def _error_texts(error: Any) -> dict[str, str]:
    if not isinstance(error, dict):
        error = {"message": error}
    return {key: _text(error.get(key)) for key in ("message", "name", "error")}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
