"""How clients name workspaces, objects and types, and what a name may look like."""

import re
from dataclasses import dataclass

from execution_engine.embedded.workspace.binding import LARGEST
from execution_engine.embedded.workspace.errors import WorkspaceError

MAX_WORKSPACE_NAME = 100
MAX_OBJECT_NAME = 255
MAX_VERSION = 2**31 - 1

_INTEGER = re.compile(r"-?\d+", re.ASCII)
_NOT_IN_WORKSPACE_NAMES = re.compile(r"[^\w:.-]", re.ASCII)
_NOT_IN_OBJECT_NAMES = re.compile(r"[^\w|.-]", re.ASCII)
_TYPE = re.compile(r"(?P<name>[A-Za-z]\w*\.[A-Za-z]\w*)(-(?P<major>\d{1,9})(\.(?P<minor>\d{1,9}))?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class WorkspaceKey:
    """A workspace by its number or by its name: exactly one of them is set."""

    id: int | None
    name: str | None

    def __str__(self) -> str:
        return str(self.name if self.id is None else self.id)


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """An object in a workspace by its number or by its name; no version means the newest."""

    workspace: WorkspaceKey
    id: int | None
    name: str | None
    version: int | None

    def __str__(self) -> str:
        return str(self.name if self.id is None else self.id)


def workspace_key(name: str | None, number: int | None) -> WorkspaceKey:
    """The key of a workspace that a client names.

    Raises:
        WorkspaceError: both or neither is given, or what is given can't be a workspace's.
    """
    _require_one("workspace", name, number)
    if number is not None:
        _require_positive("Workspace id", number)
    if name is not None:
        check_workspace_name(name)
    return WorkspaceKey(number, name)


def object_key(workspace: WorkspaceKey, name: str | None, number: int | None, version: int | None) -> ObjectKey:
    """The key of an object that a client names.

    Raises:
        WorkspaceError: both or neither is given, or what is given can't be an object's.
    """
    check_object_name_or_id(name, number)
    if version is not None:
        _require_positive("Object version", version)
        if version > MAX_VERSION:
            raise WorkspaceError(f"Maximum object version is {MAX_VERSION}")
    return ObjectKey(workspace, number, name, version)


def parse_reference(reference: str) -> ObjectKey:
    """The key that ``workspace/object`` or ``workspace/object/version`` means; names and numbers may be mixed.

    Raises:
        WorkspaceError: it has another form.
    """
    if ";" in reference:
        raise WorkspaceError(
            f"Reference paths are not supported by this Workspace, because it knows no references: '{reference}'"
        )
    parts = reference.strip().rstrip("/").split("/")
    if len(parts) not in (2, 3):
        raise WorkspaceError(f"Illegal number of separators '/' in object reference '{reference}'")
    version = None
    if len(parts) == 3:
        version = _whole(parts[2])
        if version is None:
            raise WorkspaceError(f"Unable to parse version portion of object reference '{reference}' to an integer")
    wsid, objid = _whole(parts[0]), _whole(parts[1])
    workspace = workspace_key(parts[0] if wsid is None else None, wsid)
    return object_key(workspace, parts[1] if objid is None else None, objid, version)


def check_object_name_or_id(name: str | None, number: int | None) -> None:
    """Check what a client calls an object.

    Raises:
        WorkspaceError: both or neither is given, or what is given can't be an object's.
    """
    _require_one("object", name, number)
    if number is not None:
        _require_positive("Object id", number)
    if name is not None:
        _check_name("Object", name, MAX_OBJECT_NAME, _NOT_IN_OBJECT_NAMES)


def check_workspace_name(name: str | None, owner: str | None = None) -> None:
    """Check a workspace's name: it may start with a user's name and a colon, for a new one only with its ``owner``'s.

    Raises:
        WorkspaceError: it can't be a workspace's name.
    """
    _check_name("Workspace", name, MAX_WORKSPACE_NAME, _NOT_IN_WORKSPACE_NAMES)
    user, colon, rest = str(name).rpartition(":")
    if ":" in user:
        raise WorkspaceError(f"Workspace name {name} may only contain one : delimiter")
    if colon and not rest:
        raise WorkspaceError(f"Workspace name missing from {name}")
    if colon and not user:
        raise WorkspaceError(f"User name missing from {name}")
    if colon and owner is not None and user != owner:
        raise WorkspaceError(f"Workspace name {name} must only contain the user name {owner} prior to the : delimiter")


def full_type(given: str | None) -> str:
    """The type with its version, ``Module.Type-1.0``: 1.0 where none is named, .0 where only the major one is.

    Raises:
        WorkspaceError: it does not look like a type.
    """
    found = _TYPE.fullmatch(given or "")
    if not found:
        raise WorkspaceError(f"Type {given} is not a type: expected Module.Type or Module.Type-1.0")
    return f"{found['name']}-{int(found['major'] or 1)}.{int(found['minor'] or 0)}"


def _check_name(kind: str, name: str | None, longest: int, illegal: re.Pattern[str]) -> None:
    if name is None or not name.strip():
        raise WorkspaceError(f"{kind} name cannot be null or whitespace only")
    if len(name) > longest:
        raise WorkspaceError(f"{kind} name size greater than limit {longest}")
    if found := illegal.search(name):
        raise WorkspaceError(f"Illegal character in {kind.lower()} name {name}: {found[0]}")
    if _INTEGER.fullmatch(name):
        raise WorkspaceError(f"{kind} names cannot be integers: {name}")


def _require_one(kind: str, name: str | None, number: int | None) -> None:
    if (name is None) == (number is None):
        was = ["null" if value is None else value for value in (name, number)]
        raise WorkspaceError(f"Must provide one and only one of {kind} name (was: {was[0]}) or id (was: {was[1]})")


def _require_positive(what: str, number: int) -> None:
    if number < 1:
        raise WorkspaceError(f"{what} must be > 0")


def _whole(text: str) -> int | None:
    """The number that a part of a reference is, if it is one that the service could have given."""
    if not _INTEGER.fullmatch(text) or len(text) > len(str(LARGEST)):
        return None
    return min(int(text), LARGEST)
