"""The methods by name: who may call them, what they take, what they do."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from execution_engine.embedded.workspace import parameters as p
from execution_engine.embedded.workspace.administration import Administration
from execution_engine.embedded.workspace.binding import WrongType, bind
from execution_engine.embedded.workspace.envelope import MODULE
from execution_engine.embedded.workspace.errors import TokenRefused, UnknownMethod, WrongParameters
from execution_engine.embedded.workspace.listing import Listing
from execution_engine.embedded.workspace.reading import Reading
from execution_engine.embedded.workspace.resolution import Resolution
from execution_engine.embedded.workspace.saving import Saving
from execution_engine.embedded.workspace.sharing import Sharing
from execution_engine.embedded.workspace.storage import Collections
from execution_engine.embedded.workspace.workspaces import Workspaces

SPOKEN_VERSION = "0.15.0"
"""The release of KBase's Workspace whose protocol this is."""


class Token(Enum):
    """Whether a method looks at the caller's token. One that does refuses a wrong token even if it needs none."""

    UNREAD = "unread"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Method:
    """``run`` is called with the user's name (None: anonymous), and with the structure if ``takes`` is one."""

    token: Token
    takes: type | None
    run: Callable[..., Any]
    is_void: bool = False


class Methods:
    """All methods of the service."""

    def __init__(
        self,
        collections: Collections,
        token_owner: Callable[[str], str | None],
        roles_of: Callable[[str], list[str]],
        user_exists: Callable[[str], bool],
    ) -> None:
        self._token_owner = token_owner
        self._collections = collections
        workspaces = Workspaces(collections)
        sharing = Sharing(workspaces, user_exists)
        listing = Listing(collections)
        resolution = Resolution(collections, workspaces)
        administration = Administration(workspaces, sharing, listing, roles_of)
        by_name = {
            "ver": Method(Token.UNREAD, None, lambda _: SPOKEN_VERSION),
            "status": Method(Token.UNREAD, None, lambda _: self._status()),
            **_about_workspaces(workspaces, sharing, listing),
            **_about_objects(Reading(collections, workspaces, resolution), Saving(collections, workspaces, resolution)),
            "administer": Method(Token.REQUIRED, p.AdminCommand, administration.administer),
            "get_admin_role": Method(
                Token.REQUIRED, None, lambda user: {"adminrole": administration.role(user).name.lower()}
            ),
        }
        self._methods = {f"{MODULE}.{name}": method for name, method in by_name.items()}

    def call(self, name: str, params: list[Any], token: str | None) -> list[Any] | None:
        """Run a method and give its result as it is on the wire: None for one without a result.

        Raises:
            WorkspaceError: there is no such method, or it refuses the caller or the parameters.
            ConnectionError: the auth service is down.
        """
        method = self._methods.get(name)
        if method is None:
            # Clients see this text from the real service; it names the class of that one.
            raise UnknownMethod(f"Can not find method [{name}] in server class us.kbase.workspace.WorkspaceServer")
        user = self._user(method, token)
        if len(params) != (0 if method.takes is None else 1):
            raise WrongParameters(f"Wrong parameter count for method {name}")
        if method.takes is None:
            result = method.run(user)
        else:
            try:
                structure: Any = bind(method.takes, params[0])
            except WrongType as error:
                raise WrongParameters(f"Wrong type of parameter 0 for method {name} ({error})") from None
            result = method.run(user, structure)
        return None if method.is_void else [result]

    def _user(self, method: Method, token: str | None) -> str | None:
        if method.token is Token.UNREAD or (token is None and method.token is Token.OPTIONAL):
            return None
        if not token:
            raise TokenRefused("Authorization is required for this method but no credentials were provided")
        try:
            owner = self._token_owner(token)
        except ConnectionError as error:
            raise TokenRefused(error.strerror or str(error) or "Connection refused") from None
        if owner is None:
            raise TokenRefused("Auth service returned an error: 10020 Invalid token")
        return owner

    def _status(self) -> dict[str, Any]:
        """That the service and its database answer; the database's absence is an error of the call."""
        version = cast("str", self._collections.database.client.server_info()["version"])
        database = {"name": "MongoDB", "state": "OK", "message": "OK", "version": version}
        return {"state": "OK", "message": "OK", "dependencies": [database], "version": SPOKEN_VERSION}


def _about_workspaces(workspaces: Workspaces, sharing: Sharing, listing: Listing) -> dict[str, Method]:
    def set_deleted(user: str, identity: p.WorkspaceIdentity, *, deleted: bool) -> None:
        workspaces.set_deleted(user, identity, deleted=deleted, as_admin=False)

    return {
        "create_workspace": Method(Token.REQUIRED, p.CreateWorkspaceParams, workspaces.create),
        "rename_workspace": Method(Token.REQUIRED, p.RenameWorkspaceParams, workspaces.rename),
        "alter_workspace_metadata": Method(
            Token.REQUIRED, p.AlterWorkspaceMetadataParams, workspaces.alter_metadata, is_void=True
        ),
        "delete_workspace": Method(
            Token.REQUIRED, p.WorkspaceIdentity, lambda *call: set_deleted(*call, deleted=True), is_void=True
        ),
        "undelete_workspace": Method(
            Token.REQUIRED, p.WorkspaceIdentity, lambda *call: set_deleted(*call, deleted=False), is_void=True
        ),
        "get_workspace_info": Method(Token.OPTIONAL, p.WorkspaceIdentity, workspaces.info),
        "list_workspace_info": Method(Token.OPTIONAL, p.ListWorkspaceInfoParams, listing.infos),
        "list_workspace_ids": Method(Token.OPTIONAL, p.ListWorkspaceIDsParams, listing.ids),
        "set_permissions": Method(Token.REQUIRED, p.SetPermissionsParams, sharing.set_permissions, is_void=True),
        "set_global_permission": Method(
            Token.REQUIRED, p.SetGlobalPermissionsParams, sharing.set_global_permission, is_void=True
        ),
        "get_permissions": Method(Token.OPTIONAL, p.WorkspaceIdentity, sharing.permissions),
        "get_permissions_mass": Method(Token.OPTIONAL, p.GetPermissionsMassParams, sharing.permissions_mass),
    }


def _about_objects(reading: Reading, saving: Saving) -> dict[str, Method]:
    return {
        "save_objects": Method(Token.REQUIRED, p.SaveObjectsParams, saving.save),
        "get_objects2": Method(Token.OPTIONAL, p.GetObjects2Params, reading.objects),
        "get_object_info3": Method(Token.OPTIONAL, p.GetObjectInfo3Params, reading.infos_and_paths),
        "get_object_info_new": Method(Token.OPTIONAL, p.GetObjectInfoNewParams, reading.infos),
        "list_objects": Method(Token.OPTIONAL, p.ListObjectsParams, reading.list_objects),
    }
