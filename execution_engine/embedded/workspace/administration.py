"""What administrators of the service may do: commands in one method, told apart by a name."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

from execution_engine.embedded.workspace.binding import WrongType, bind
from execution_engine.embedded.workspace.errors import WorkspaceError
from execution_engine.embedded.workspace.listing import Listing
from execution_engine.embedded.workspace.parameters import (
    AdminCommand,
    CreateWorkspaceParams,
    GetPermissionsMassParams,
    ListWorkspaceIDsParams,
    ListWorkspaceInfoParams,
    SetPermissionsParams,
    WorkspaceIdentity,
)
from execution_engine.embedded.workspace.sharing import Sharing
from execution_engine.embedded.workspace.workspaces import Workspaces

T = TypeVar("T")


class AdminRole(IntEnum):
    """What an administrator may do; a greater one includes the smaller."""

    NONE = 0
    READ = 1
    FULL = 2


# The custom roles of the auth service that make somebody an administrator here.
ADMIN_ROLES = {
    "WS_READ_ADMIN": AdminRole.READ,
    "WS_FULL_READ_ADMIN": AdminRole.READ,
    "WS_FULL_ADMIN": AdminRole.FULL,
}


@dataclass(frozen=True, slots=True)
class _Command:
    run: Callable[[AdminCommand], Any]
    needs: AdminRole


def _parameters(kind: type[T], command: AdminCommand) -> T:
    if command.params is None:
        raise WorkspaceError(f"Method parameters {kind.__name__} may not be null")
    try:
        return bind(kind, command.params)
    except WrongType as error:
        raise WorkspaceError(f"Unable to deserialize {kind.__name__} out of params field: {error}") from None


class Administration:
    """The commands and who may give them."""

    def __init__(
        self, workspaces: Workspaces, sharing: Sharing, listing: Listing, roles_of: Callable[[str], list[str]]
    ) -> None:
        self._workspaces = workspaces
        self._sharing = sharing
        self._listing = listing
        self._roles_of = roles_of
        self._commands = {
            "getPermissions": _Command(self._permissions, AdminRole.READ),
            "getPermissionsMass": _Command(self._permissions_mass, AdminRole.READ),
            "getWorkspaceInfo": _Command(self._info, AdminRole.READ),
            "listWorkspaceIDs": _Command(self._list_ids, AdminRole.READ),
            "listWorkspaces": _Command(self._list_infos, AdminRole.READ),
            "listWorkspaceOwners": _Command(lambda _: self._listing.owners(), AdminRole.READ),
            "setPermissions": _Command(self._set_permissions, AdminRole.FULL),
            "createWorkspace": _Command(self._create, AdminRole.FULL),
            "deleteWorkspace": _Command(lambda command: self._set_deleted(command, deleted=True), AdminRole.FULL),
            "undeleteWorkspace": _Command(lambda command: self._set_deleted(command, deleted=False), AdminRole.FULL),
        }

    def role(self, user: str) -> AdminRole:
        """The greatest role that ``user`` has."""
        return max((ADMIN_ROLES[role] for role in self._roles_of(user) if role in ADMIN_ROLES), default=AdminRole.NONE)

    def administer(self, user: str, command: AdminCommand) -> Any:
        """Run a command; what it gives depends on it.

        Raises:
            WorkspaceError: the user is no administrator, or of the wrong kind, or the command is unknown or refuses.
        """
        role = self.role(user)
        if role is AdminRole.NONE:
            raise WorkspaceError(f"User {user} is not an admin")
        known = self._commands.get(command.command or "")
        if known is None:
            raise WorkspaceError(f"I don't know how to process the command: {command.command or 'null'}")
        if role < known.needs:
            raise WorkspaceError("Full administration rights required for this command")
        return known.run(command)

    def _permissions(self, command: AdminCommand) -> dict[str, str]:
        identity = _parameters(WorkspaceIdentity, command)
        user = None if command.user is None else self._sharing.check_user(command.user)
        return self._sharing.permissions(user, identity, as_admin=user is None)

    def _permissions_mass(self, command: AdminCommand) -> dict[str, Any]:
        return self._sharing.permissions_mass(None, _parameters(GetPermissionsMassParams, command), as_admin=True)

    def _info(self, command: AdminCommand) -> list[Any]:
        return self._workspaces.info_as_admin(_parameters(WorkspaceIdentity, command))

    def _list_ids(self, command: AdminCommand) -> dict[str, list[int]]:
        user = self._sharing.check_user(command.user)
        return self._listing.ids(user, _parameters(ListWorkspaceIDsParams, command))

    def _list_infos(self, command: AdminCommand) -> list[list[Any]]:
        user = self._sharing.check_user(command.user)
        return self._listing.infos(user, _parameters(ListWorkspaceInfoParams, command))

    def _set_permissions(self, command: AdminCommand) -> None:
        self._sharing.set_permissions(None, _parameters(SetPermissionsParams, command), as_admin=True)

    def _create(self, command: AdminCommand) -> list[Any]:
        owner = self._sharing.check_user(command.user)
        return self._workspaces.create(owner, _parameters(CreateWorkspaceParams, command))

    def _set_deleted(self, command: AdminCommand, *, deleted: bool) -> None:
        identity = _parameters(WorkspaceIdentity, command)
        self._workspaces.set_deleted(None, identity, deleted=deleted, as_admin=True)
