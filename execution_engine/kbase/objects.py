"""Objects of a workspace, and the references that name them."""

import re
from dataclasses import dataclass
from typing import Any

MAX_REF_CHARS = 1000
_NAME = r"[A-Za-z0-9_.|:-]{1,255}"
_STEP = rf"(?:[1-9][0-9]{{0,17}}|{_NAME})/(?:[1-9][0-9]{{0,17}}|{_NAME})(?:/[1-9][0-9]{{0,8}})?"
_REF = re.compile(rf"{_STEP}(?:;{_STEP})*")


def is_ref(text: str) -> bool:
    """Whether the Workspace could take it for a reference: ids or names, an optional version, or a path of such."""
    return len(text) <= MAX_REF_CHARS and _REF.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the Workspace tells about an object. ``ref``: workspace, object and version by number; ``size``: bytes."""

    ref: str
    name: str
    type: str
    size: int

    @classmethod
    def from_tuple(cls, info: list[Any]) -> "ObjectInfo":
        """From the Workspace's own eleven values.

        Raises:
            ValueError, TypeError: there are not eleven, or they are of other types.
        """
        object_id, name, kind, _, version, _, workspace_id, _, _, size, _ = info
        if not (isinstance(name, str) and isinstance(kind, str) and isinstance(size, int)):
            raise TypeError(f"an object info with name {name!r}, type {kind!r}, size {size!r}")
        return cls(f"{workspace_id}/{object_id}/{version}", name, kind, size)


@dataclass(frozen=True, slots=True)
class WorkspaceObject:
    """An object with its data, a JSON value."""

    info: ObjectInfo
    data: Any
