"""Where the Catalog's administrators want a function to run, and with what.

The Catalog keeps free texts, of which KBase knows two forms. With commas: the client group first, then ``key=value``
(``njs, request_cpus=4, request_memory=2000M``). As JSON: objects with the same keys and ``client_group``, whole or cut
at their commas into several texts. An empty value counts as left out; of a key that comes twice the last value counts.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from execution_engine.core.errors import AppMisconfigured

_MOST = 1_000_000_000
_GROUP = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}")
_VALUE = re.compile(r"[A-Za-z0-9_.:/+-]{1,100}")
_AMOUNTS = {
    "request_cpus": ("cpus", "", "a whole number"),
    "request_memory": ("memory_mb", "MB?", "megabytes, as in 2000 or 2000M"),
    "request_disk": ("disk_gb", "GB?", "gigabytes, as in 30 or 30GB"),
}
# Known to KBase's engine, and checked as there. A client group is one of the engine's, by its name, never a pattern of
# names; and containers are kept for a look at them by other means.
_SWITCHES = ("client_group_regex", "debug_mode")


@dataclass(frozen=True, slots=True)
class Placement:
    """What the Catalog says of one function.

    ``client_group``: None if unsaid. ``requirements``: of cpus, memory_mb and disk_gb those that it states.
    ``constraints``: everything else, for systems that know such names.
    """

    client_group: str | None = None
    requirements: Mapping[str, int] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)


def read_placement(texts: Iterable[str], app: str) -> Placement:
    """The texts of one function, understood; ``app`` is its name for the message.

    Raises:
        AppMisconfigured: they are of neither form, or a value can't be used.
    """
    text = ",".join(texts).strip()
    try:
        return _placement(_from_json(text) if text.startswith("{") else _from_words(text))
    except ValueError as error:
        raise AppMisconfigured(
            f"The Catalog's client groups of {app} can't be used: {error}. Found: {text[:200]!r}. "
            "An administrator of the Catalog can mend that (set_client_group_config)."
        ) from error


def _from_json(text: str) -> dict[str, Any]:
    try:
        objects = json.loads(f"[{text}]")
    except (ValueError, RecursionError):
        raise ValueError("it begins like JSON and is none") from None
    merged: dict[str, Any] = {}
    for it in objects:
        if not isinstance(it, dict):
            raise ValueError(f"expected JSON objects, one of them is {json.dumps(it)}")  # noqa: TRY004  the text's fault
        merged |= it
    return merged


def _from_words(text: str) -> dict[str, Any]:
    group, *others = text.split(",")
    if "=" in group:
        raise ValueError(f"expected the client group first, found {group.strip()!r}")
    merged = {"client_group": group.strip()}
    for word in filter(None, map(str.strip, others)):
        key, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"after the client group comes key=value, found {word!r}")
        merged[key.strip()] = value.strip()
    return merged


def _placement(said: Mapping[str, Any]) -> Placement:
    given = {key.strip(): value for key, value in said.items() if value is not None and str(value).strip()}
    group = given.pop("client_group", None)
    if group is not None and not (isinstance(group, str) and _GROUP.fullmatch(group.strip())):
        raise ValueError(f"client_group is {group!r}, which can't be the name of one")
    for key in _SWITCHES:
        _take(given, key, _switch)
    amounts = {name: _take(given, key, _amount(unit, expected)) for key, (name, unit, expected) in _AMOUNTS.items()}
    return Placement(
        group if group is None else group.strip(),
        {name: amount for name, amount in amounts.items() if amount is not None},
        dict(_constraint(key, value) for key, value in given.items()),
    )


def _take(given: dict[str, Any], key: str, read: Callable[[str, Any], Any]) -> Any:
    return read(key, given.pop(key)) if key in given else None


def _amount(unit: str, expected: str) -> Callable[[str, Any], int]:
    form = re.compile(rf"([0-9]{{1,10}}) *(?:{unit})?")

    def read(key: str, value: Any) -> int:
        text = str(value).strip() if isinstance(value, str) or type(value) is int else ""
        match = form.fullmatch(text)
        if match is None or not 1 <= int(match[1]) <= _MOST:
            raise ValueError(f"{key} is {value!r}, expected {expected}")
        return int(match[1])

    return read


def _switch(key: str, value: Any) -> None:
    if not isinstance(value, int) and str(value).strip().lower() not in ("true", "false"):
        raise ValueError(f"{key} is {value!r}, expected true or false")


def _constraint(key: str, value: Any) -> tuple[str, str]:
    text = json.dumps(value) if isinstance(value, bool) else str(value).strip()
    if not isinstance(value, str | int) or not _KEY.fullmatch(key) or not _VALUE.fullmatch(text):
        raise ValueError(f"{key}={text[:100]} has characters other than letters, digits and _.:/+-")
    return key, text
