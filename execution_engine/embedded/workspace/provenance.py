"""How an object came to be, as its saver tells it; the objects that it was made of are looked up."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from execution_engine.embedded.workspace.errors import WorkspaceError
from execution_engine.embedded.workspace.identifiers import ObjectKey, parse_reference
from execution_engine.embedded.workspace.parameters import ProvenanceAction
from execution_engine.embedded.workspace.resolution import Resolution
from execution_engine.embedded.workspace.times import choose_time, format_time

MAX_BYTES = 1_000_000
_EMPTY: dict[str, Any] = {
    "method_params": [],
    "input_ws_objects": [],
    "resolved_ws_objects": [],
    "intermediate_incoming": [],
    "intermediate_outgoing": [],
    "external_data": [],
    "subactions": [],
    "custom": {},
}


def inputs(actions: Sequence[ProvenanceAction]) -> list[ObjectKey]:
    """The objects that the actions name as their input, in order.

    Raises:
        WorkspaceError: one is no reference.
    """
    return [parse_reference(reference) for action in actions for reference in action.input_ws_objects or []]


def stored(actions: Sequence[ProvenanceAction], resolved: Sequence[str]) -> list[dict[str, Any]]:
    """The actions as they are kept and shown; ``resolved`` are the addresses in numbers of all their inputs, in order.

    Empty actions are left out.

    Raises:
        WorkspaceError: a time is wrong.
    """
    kept = []
    addresses = iter(resolved)
    for action in actions:
        given = {name: value for name, value in dataclasses.asdict(action).items() if value is not None}
        given["resolved_ws_objects"] = [next(addresses) for _ in action.input_ws_objects or []]
        time = choose_time(action.time, action.epoch, "provenance action")
        if time is not None:
            given |= {"time": format_time(time), "epoch": time}
        if any(given.values()):
            kept.append({**_EMPTY, **given})
    return kept


def resolve_inputs(resolution: Resolution, user: str, actions: Sequence[ProvenanceAction], what: str) -> list[str]:
    """The addresses in numbers of all inputs; ``user`` must be allowed to read them.

    Raises:
        WorkspaceError: one can't be read; the message starts with ``what``.
    """
    try:
        found = resolution.find(user, inputs(actions), ignore_errors=False)
    except WorkspaceError as error:
        raise WorkspaceError(f"{what} has invalid provenance reference: {error.message}") from None
    return [each.reference for each in found if each]
