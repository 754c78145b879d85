"""What an app leaves in ``output.json``."""

from __future__ import annotations

import json
import math

from .folder import read_app_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

MAX_DEPTH = 188  # of a result: the engine takes a request of 200, and two levels of it are finish_job's own
MAX_DIGITS = 4300  # as Python reads by itself, and with it the engine
SPACIOUS = 4  # a file may be so many times larger than the limit of what it holds: indentation, escapes


class _Unfit(Exception):
    """JSON, but none that the engine takes; the text continues "The app's output.json"."""


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
    return _parse(text)


def _parse(text: bytes) -> Output:
    try:
        return _judge(json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_writable))
    except _Unfit as why:
        return Output(problem=f"The app's output.json {why}.")
    except ValueError as error:
        return Output(problem=f"The app's output.json is no JSON: {error}.")
    except RecursionError:
        return Output(problem="The app's output.json is nested too deeply.")


def _judge(found: Any) -> Output:
    if not isinstance(found, dict) or ("result" not in found and found.get("error") is None):
        return Output(problem="The app's output.json must hold an object with a result or an error.")
    if found.get("error") is not None:
        return Output(error=_error_texts(found["error"]))
    result = found["result"]
    if result is not None and not isinstance(result, list):
        return Output(problem=f"The result in output.json must be a list of values, not {json.dumps(result)[:100]}.")
    if _is_deeper(result, MAX_DEPTH):
        raise _Unfit(f"nests its result too deeply: at most {MAX_DEPTH} lists and objects within one another are taken")
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    try:
        return Output(result=result, size=len(text.encode()))
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise _Unfit(f"has half of a surrogate pair, {half}, which is no character") from None


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        inside = (item for one in level for item in (one.values() if isinstance(one, dict) else one or ()))
        level = [item for item in inside if isinstance(item, (dict, list))]
    return bool(level)


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


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Unfit(f"has the number {text[:40]}, which is beyond what a double can hold")
    return number


def _writable(text: str) -> int:
    digits = len(text.lstrip("-"))
    if digits > MAX_DIGITS:
        raise _Unfit(f"has an integer of {digits:,} digits; at most {MAX_DIGITS:,} are taken")
    return int(text)
