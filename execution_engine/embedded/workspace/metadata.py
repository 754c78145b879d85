"""What users note about their workspaces and objects: keys and values, both text.

It is stored as a list of pairs, because MongoDB gives a meaning to some characters in a key.
"""

from collections.abc import Mapping
from typing import Any

from execution_engine.core.json_text import to_json
from execution_engine.embedded.workspace.errors import WorkspaceError

MAX_BYTES = 16_000  # of all, as JSON
MAX_PAIR_BYTES = 900

Pairs = list[dict[str, Any]]


def to_pairs(metadata: Mapping[str, str] | None) -> Pairs:
    """The stored form.

    Raises:
        WorkspaceError: there is too much.
    """
    pairs = []
    for key, value in (metadata or {}).items():
        if len(key.encode()) + len(value.encode()) > MAX_PAIR_BYTES:
            raise WorkspaceError(
                f"Total size of metadata key + value exceeds maximum of {MAX_PAIR_BYTES}B for key {key}"
            )
        pairs.append({"k": key, "v": value})
    if metadata and len(to_json(metadata)) > MAX_BYTES:
        raise WorkspaceError(f"Metadata exceeds maximum of {MAX_BYTES}B")
    return pairs


def from_pairs(pairs: Pairs) -> dict[str, str]:
    """The form on the wire."""
    return {pair["k"]: pair["v"] for pair in pairs}
