"""Who may use which workspace: ask and set."""

from collections.abc import Callable
from typing import Any

from execution_engine.embedded.workspace.errors import WorkspaceError
from execution_engine.embedded.workspace.identifiers import WorkspaceKey, workspace_key
from execution_engine.embedded.workspace.parameters import (
    GetPermissionsMassParams,
    SetGlobalPermissionsParams,
    SetPermissionsParams,
    WorkspaceIdentity,
)
from execution_engine.embedded.workspace.permissions import (
    Permission,
    own_permission,
    parse_permission,
    require,
    visible_permissions,
)
from execution_engine.embedded.workspace.workspaces import Workspaces, check_exists, identity_key

MAX_WORKSPACES = 1000


class Sharing:
    """The permissions on all workspaces."""

    def __init__(self, workspaces: Workspaces, user_exists: Callable[[str], bool]) -> None:
        self._workspaces = workspaces
        self._user_exists = user_exists

    def permissions_mass(
        self, user: str | None, params: GetPermissionsMassParams, *, as_admin: bool = False
    ) -> dict[str, Any]:
        """The permissions on each of many workspaces, in the order asked for; one bad workspace fails all."""
        if params.workspaces is None:
            raise WorkspaceError('workspaces must be a list of workspaces, each {"id": …} or {"workspace": …}')
        keys = [identity_key(identity) for identity in params.workspaces]
        if len(keys) > MAX_WORKSPACES:
            raise WorkspaceError(f"Maximum number of workspaces allowed for input is {MAX_WORKSPACES}")
        return {"perms": self._permissions(user, keys, as_admin=as_admin)}

    def permissions(self, user: str | None, identity: WorkspaceIdentity, *, as_admin: bool = False) -> dict[str, str]:
        """The permissions on one workspace."""
        return self._permissions(user, [identity_key(identity)], as_admin=as_admin)[0]

    def _permissions(self, user: str | None, keys: list[WorkspaceKey], *, as_admin: bool) -> list[dict[str, str]]:
        found = self._workspaces.find(keys)
        return [visible_permissions(check_exists(key, found.get(key)), user, as_admin=as_admin) for key in keys]

    def set_permissions(self, user: str | None, params: SetPermissionsParams, *, as_admin: bool = False) -> None:
        """Give each of ``users`` one permission; the owner keeps all. Who is no admin may reduce their own.

        Raises:
            WorkspaceError: a user or the workspace is unknown, or ``user`` may not.
        """
        key = workspace_key(params.workspace, params.id)
        permission = parse_permission(params.new_permission)
        if not params.users:
            raise WorkspaceError("Must provide at least one user")
        names = sorted(set(params.users))
        for name in names:
            self.check_user(name)
        workspace = self._workspaces.existing(key)
        if not as_admin:
            _check_may_set(user, own_permission(workspace, user), names, permission, key)
        to_change = [f"acl.{name}" for name in names if name != workspace["owner"]]
        if not to_change:
            return
        operator, value = ("$unset", "") if permission is Permission.NONE else ("$set", int(permission))
        self._workspaces.update(key, workspace["_id"], {operator: dict.fromkeys(to_change, value)})

    def set_global_permission(self, user: str, params: SetGlobalPermissionsParams) -> None:
        """Let everybody read a workspace, or only whom it was shared with; for admins of it.

        Raises:
            WorkspaceError: more than reading is asked for, or ``user`` may not.
        """
        key = workspace_key(params.workspace, params.id)
        permission = parse_permission(params.new_permission)
        if permission > Permission.READ:
            raise WorkspaceError("Global permissions cannot be greater than read")
        workspace = self._workspaces.existing(key)
        require(workspace, user, Permission.ADMIN, f"set global permission on workspace {key}")
        self._workspaces.update(key, workspace["_id"], {"$set": {"globalread": permission is Permission.READ}})

    def check_user(self, name: str | None) -> str:
        """The name, if it is a user's.

        Raises:
            WorkspaceError: no name is given, or nobody has it.
        """
        if name is None:
            raise WorkspaceError("User may not be null")
        if not self._user_exists(name):
            raise WorkspaceError(f"User {name} is not a valid user")
        return name


def _check_may_set(
    user: str | None, own: Permission, names: list[str], permission: Permission, key: WorkspaceKey
) -> None:
    if own is Permission.NONE:
        raise WorkspaceError(f"User {user} may not set permissions on workspace {key}")
    if own < Permission.ADMIN and names != [user]:
        raise WorkspaceError(f"User {user} may not alter other user's permissions on workspace {key}")
    if own < Permission.ADMIN and own < permission:
        raise WorkspaceError(f"User {user} may only reduce their permission level on workspace {key}")
