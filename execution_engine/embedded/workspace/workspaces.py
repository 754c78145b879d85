"""Workspaces: find them, make them, change them."""

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from execution_engine.core.clock import now, to_ms
from execution_engine.embedded.workspace.errors import WorkspaceError
from execution_engine.embedded.workspace.identifiers import WorkspaceKey, check_workspace_name, workspace_key
from execution_engine.embedded.workspace.metadata import from_pairs, to_pairs
from execution_engine.embedded.workspace.parameters import (
    AlterWorkspaceMetadataParams,
    CreateWorkspaceParams,
    RenameWorkspaceParams,
    WorkspaceIdentity,
)
from execution_engine.embedded.workspace.permissions import Permission, own_permission, require
from execution_engine.embedded.workspace.storage import Collections, Document
from execution_engine.embedded.workspace.times import format_time

MAX_DESCRIPTION = 1000
# What access needs; metadata and descriptions are large and only read where they are shown.
ACCESS = {"name": 1, "owner": 1, "acl": 1, "globalread": 1, "deleted": 1}


def identity_key(identity: WorkspaceIdentity | None) -> WorkspaceKey:
    """The key of the workspace that a client names in a structure of its own.

    Raises:
        WorkspaceError: none is named, or in a way that can't be.
    """
    return workspace_key(*((None, None) if identity is None else (identity.workspace, identity.id)))


def workspace_info(workspace: Mapping[str, Any], user: str | None) -> list[Any]:
    """The tuple that describes a workspace to ``user``.

    Its number, name, owner, last change, highest object number, the user's permission, everybody's, lock, metadata.
    """
    return [
        workspace["_id"],
        workspace["name"],
        workspace["owner"],
        format_time(workspace["moddate"]),
        workspace["max_objid"],
        own_permission(workspace, user).letter,
        (Permission.READ if workspace["globalread"] else Permission.NONE).letter,
        "unlocked",
        from_pairs(workspace["meta"]),
    ]


def moment() -> int:
    """The time, in milliseconds."""
    return to_ms(now())


class Workspaces:
    """The workspaces in the database."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._workspaces = collections.workspaces

    def find(self, keys: Iterable[WorkspaceKey]) -> dict[WorkspaceKey, Document]:
        """Those of ``keys`` that exist, deleted ones too, with what access needs; at most two queries."""
        wanted = set(keys)
        ids = [key.id for key in wanted if key.id is not None]
        names = [key.name for key in wanted if key.name is not None]
        found: dict[WorkspaceKey, Document] = {}
        if ids:
            for workspace in self._workspaces.find({"_id": {"$in": ids}}, ACCESS):
                found[WorkspaceKey(workspace["_id"], None)] = workspace
        if names:
            for workspace in self._workspaces.find({"name": {"$in": names}}, ACCESS):
                found[WorkspaceKey(None, workspace["name"])] = workspace
        return found

    def existing(self, key: WorkspaceKey, *, even_deleted: bool = False) -> Document:
        """The whole workspace.

        Raises:
            WorkspaceError: there is none, or it is deleted.
        """
        by = {"name": key.name} if key.id is None else {"_id": key.id}
        workspace = self._workspaces.find_one(by)
        return check_exists(key, workspace, even_deleted=even_deleted)

    def accessible(self, user: str | None, key: WorkspaceKey, needed: Permission, action: str) -> Document:
        """The whole workspace, if ``user`` has the permission on it; ``action`` says for what they need it.

        Raises:
            WorkspaceError: there is none, it is deleted, or they have not.
        """
        workspace = self.existing(key)
        require(workspace, user, needed, f"{action} workspace {key}")
        return workspace

    def info(self, user: str | None, identity: WorkspaceIdentity) -> list[Any]:
        """What ``user`` may know of a workspace."""
        return workspace_info(self.accessible(user, identity_key(identity), Permission.READ, "read"), user)

    def info_as_admin(self, identity: WorkspaceIdentity) -> list[Any]:
        """The same for an administrator, who has no permission of their own."""
        return workspace_info(self.existing(identity_key(identity)), None)

    def create(self, owner: str, params: CreateWorkspaceParams) -> list[Any]:
        """Make a workspace; numbers count from 1.

        Raises:
            WorkspaceError: the name can't be or is taken, or another parameter is wrong.
        """
        if params.globalread not in (None, Permission.NONE.letter, Permission.READ.letter):
            raise WorkspaceError("globalread must be n or r")
        check_workspace_name(params.workspace, owner)
        workspace = {
            "name": params.workspace,
            "owner": owner,
            "acl": {owner: int(Permission.OWNER)},
            "globalread": params.globalread == Permission.READ.letter,
            "deleted": False,
            "moddate": moment(),
            "max_objid": 0,
            "meta": to_pairs(params.meta),
            "description": params.description and params.description[:MAX_DESCRIPTION],
        }
        taken = f"Workspace name {params.workspace} is already in use"
        # Asked first, so that a refusal uses up no number; the index decides between two at once.
        if self._workspaces.find_one({"name": params.workspace}, {"_id": 1}):
            raise WorkspaceError(taken)
        workspace["_id"] = self._collections.next_workspace_id()
        try:
            self._workspaces.insert_one(workspace)
        except DuplicateKeyError:
            raise WorkspaceError(taken) from None
        return workspace_info(workspace, owner)

    def rename(self, user: str, params: RenameWorkspaceParams) -> list[Any]:
        """Give a workspace another name; for its owner.

        Raises:
            WorkspaceError: the name can't be or is taken, or the user is not the owner.
        """
        key = identity_key(params.wsi)
        workspace = self.accessible(user, key, Permission.OWNER, "rename")
        check_workspace_name(params.new_name, user)
        if workspace["name"] == params.new_name:
            raise WorkspaceError(f"Workspace is already named {params.new_name}")
        try:
            renamed = self.update(key, workspace["_id"], {"$set": {"name": params.new_name, "moddate": moment()}})
        except DuplicateKeyError:
            raise WorkspaceError(f"There is already a workspace named {params.new_name}") from None
        return workspace_info(renamed, user)

    def alter_metadata(self, user: str, params: AlterWorkspaceMetadataParams) -> None:
        """Add, replace and remove metadata; for admins of the workspace.

        Raises:
            WorkspaceError: nothing is asked for, there would be too much, or the user may not.
        """
        key = identity_key(params.wsi)
        if not params.new and not params.remove:
            raise WorkspaceError("The new and remove params cannot both be null or empty")
        changed = None
        while changed is None:  # somebody else was faster: again, on what they left
            workspace = self.accessible(user, key, Permission.ADMIN, "alter metadata for")
            metadata = from_pairs(workspace["meta"]) | (params.new or {})
            kept = {name: value for name, value in metadata.items() if name not in (params.remove or [])}
            update = {"$set": {"meta": to_pairs(kept), "moddate": moment()}}
            changed = self._update(workspace["_id"], update, {"meta": workspace["meta"]})

    def set_deleted(self, user: str | None, identity: WorkspaceIdentity, *, deleted: bool, as_admin: bool) -> None:
        """Delete a workspace or bring it back, objects and permissions included; for its owner.

        Raises:
            WorkspaceError: it is deleted already, or not deleted, or the user is not the owner.
        """
        key = identity_key(identity)
        workspace = self.existing(key, even_deleted=not deleted)
        if not as_admin:
            require(workspace, user, Permission.OWNER, f"{'delete' if deleted else 'undelete'} workspace {key}")
        if not deleted and not workspace["deleted"]:
            raise WorkspaceError(f"Workspace {key} is not deleted")
        self._workspaces.update_one({"_id": workspace["_id"]}, {"$set": {"deleted": deleted, "moddate": moment()}})

    def update(self, key: WorkspaceKey, number: int, update: Mapping[str, Any]) -> Document:
        """Change the workspace that ``key`` was found to be; it, after that.

        Raises:
            WorkspaceError: it was deleted meanwhile.
        """
        changed = self._update(number, update, {})
        if changed is None:
            raise WorkspaceError(f"Workspace {key} is deleted")
        return changed

    def _update(self, number: int, update: Mapping[str, Any], provided: Mapping[str, Any]) -> Document | None:
        condition = {"_id": number, "deleted": False, **provided}
        return self._workspaces.find_one_and_update(condition, update, return_document=ReturnDocument.AFTER)


def check_exists(key: WorkspaceKey, workspace: Document | None, *, even_deleted: bool = False) -> Document:
    """The workspace that was found for ``key``.

    Raises:
        WorkspaceError: none was found, or a deleted one.
    """
    if workspace is None:
        raise WorkspaceError(f"No workspace with {'name' if key.id is None else 'id'} {key} exists")
    if workspace["deleted"] and not even_deleted:
        raise WorkspaceError(f"Workspace {key} is deleted")
    return workspace
