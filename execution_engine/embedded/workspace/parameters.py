"""The structures that the methods take, with the names that they have in the Workspace's own interface.

A flag is an integer, 0 or 1. An object or a workspace is named by its name or by its number, never by both.
"""

from dataclasses import dataclass, field
from typing import Any

from execution_engine.embedded.workspace.binding import WIRE_NAME


def _on_the_wire(name: str) -> Any:
    return field(default=None, metadata={WIRE_NAME: name})


@dataclass(frozen=True, slots=True)
class WorkspaceIdentity:
    """A workspace."""

    workspace: str | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class CreateWorkspaceParams:
    """``globalread`` is n or r."""

    workspace: str | None = None
    globalread: str | None = None
    description: str | None = None
    meta: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RenameWorkspaceParams:
    """``wsi`` is the workspace."""

    wsi: WorkspaceIdentity | None = None
    new_name: str | None = None


@dataclass(frozen=True, slots=True)
class AlterWorkspaceMetadataParams:
    """``new`` is added or replaces, the keys in ``remove`` go."""

    wsi: WorkspaceIdentity | None = None
    new: dict[str, str] | None = None
    remove: list[str] | None = None


@dataclass(frozen=True, slots=True)
class SetPermissionsParams:
    """``new_permission`` is n, r, w or a."""

    workspace: str | None = None
    id: int | None = None
    new_permission: str | None = None
    users: list[str] | None = None


@dataclass(frozen=True, slots=True)
class SetGlobalPermissionsParams:
    """``new_permission`` is n or r."""

    workspace: str | None = None
    id: int | None = None
    new_permission: str | None = None


@dataclass(frozen=True, slots=True)
class GetPermissionsMassParams:
    """At most 1000 workspaces."""

    workspaces: list[WorkspaceIdentity] | None = None


@dataclass(frozen=True, slots=True)
class ListWorkspaceInfoParams:
    """Times as text with a zone, or (``_epoch``) in milliseconds; ``meta`` is one key and its value."""

    perm: str | None = None
    owners: list[str] | None = None
    meta: dict[str, str] | None = None
    after: str | None = None
    before: str | None = None
    after_epoch: int | None = None
    before_epoch: int | None = None
    exclude_global: int | None = _on_the_wire("excludeGlobal")
    show_deleted: int | None = _on_the_wire("showDeleted")
    show_only_deleted: int | None = _on_the_wire("showOnlyDeleted")


@dataclass(frozen=True, slots=True)
class ListWorkspaceIDsParams:
    """Public workspaces are left out unless ``excludeGlobal`` is 0 or ``onlyGlobal`` is 1."""

    perm: str | None = None
    exclude_global: int | None = _on_the_wire("excludeGlobal")
    only_global: int | None = _on_the_wire("onlyGlobal")


@dataclass(frozen=True, slots=True)
class ProvenanceAction:
    """One step of how an object came to be; nobody but people reads most of it."""

    time: str | None = None
    epoch: int | None = None
    caller: str | None = None
    service: str | None = None
    service_ver: str | None = None
    method: str | None = None
    method_params: list[Any] | None = None
    script: str | None = None
    script_ver: str | None = None
    script_command_line: str | None = None
    input_ws_objects: list[str] | None = None
    resolved_ws_objects: list[str] | None = None
    intermediate_incoming: list[str] | None = None
    intermediate_outgoing: list[str] | None = None
    external_data: list[Any] | None = None
    subactions: list[Any] | None = None
    custom: dict[str, str] | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectSaveData:
    """An object to save: with a new name it is a new object, else a new version of the one that is there."""

    type: str | None = None
    data: Any = None
    name: str | None = None
    objid: int | None = None
    meta: dict[str, str] | None = None
    provenance: list[ProvenanceAction] | None = None
    hidden: int | None = None


@dataclass(frozen=True, slots=True)
class SaveObjectsParams:
    """The workspace and the objects."""

    workspace: str | None = None
    id: int | None = None
    objects: list[ObjectSaveData] | None = None


@dataclass(frozen=True, slots=True)
class ObjectSpecification:
    """An object by ``ref`` (workspace/object or workspace/object/version), or by its parts."""

    workspace: str | None = None
    wsid: int | None = None
    name: str | None = None
    objid: int | None = None
    ver: int | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class GetObjects2Params:
    """The two about external systems are accepted because clients send them; there are none here."""

    objects: list[ObjectSpecification] | None = None
    ignore_errors: int | None = _on_the_wire("ignoreErrors")
    no_data: int | None = None
    skip_external_system_updates: int | None = None
    batch_external_system_updates: int | None = None


@dataclass(frozen=True, slots=True)
class GetObjectInfo3Params:
    """``infostruct`` asks for structures in place of tuples."""

    objects: list[ObjectSpecification] | None = None
    include_metadata: int | None = _on_the_wire("includeMetadata")
    ignore_errors: int | None = _on_the_wire("ignoreErrors")
    infostruct: int | None = None


@dataclass(frozen=True, slots=True)
class GetObjectInfoNewParams:
    """The older form of the same."""

    objects: list[ObjectSpecification] | None = None
    include_metadata: int | None = _on_the_wire("includeMetadata")
    ignore_errors: int | None = _on_the_wire("ignoreErrors")


@dataclass(frozen=True, slots=True)
class ListObjectsParams:
    """The newest versions of the objects in some workspaces, ``limit`` (at most 10000) of them."""

    ids: list[int] | None = None
    workspaces: list[str] | None = None
    min_object_id: int | None = _on_the_wire("minObjectID")
    max_object_id: int | None = _on_the_wire("maxObjectID")
    show_hidden: int | None = _on_the_wire("showHidden")
    include_metadata: int | None = _on_the_wire("includeMetadata")
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class AdminCommand:
    """What an administrator wants done: ``params`` are the command's own; ``module`` is for commands about types."""

    command: str | None = None
    module: str | None = None
    user: str | None = None
    params: Any = None
