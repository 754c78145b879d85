"""Permissions on a workspace: none, read, write, admin; its owner has all of them for good.

A workspace holds what was given to each user as a number (``acl``), so that "at least write" is one comparison in a
query; whether everybody may read it is beside that (``globalread``).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from execution_engine.embedded.workspace.errors import WorkspaceError

EVERYBODY = "*"


class Permission(IntEnum):
    """What a user may do; greater ones include smaller ones."""

    NONE = 0
    READ = 10
    WRITE = 20
    ADMIN = 30
    OWNER = 40

    @property
    def letter(self) -> str:
        """The permission as clients see it; an owner is an admin to them."""
        return _LETTERS[self]


_LETTERS = {
    Permission.NONE: "n",
    Permission.READ: "r",
    Permission.WRITE: "w",
    Permission.ADMIN: "a",
    Permission.OWNER: "a",
}
_BY_LETTER = {letter: permission for permission, letter in reversed(_LETTERS.items())}


def parse_permission(letter: str | None) -> Permission:
    """The permission that a client names.

    Raises:
        WorkspaceError: there is no such permission.
    """
    if letter not in _BY_LETTER:
        raise WorkspaceError(f"No such permission: {'null' if letter is None else letter}")
    return _BY_LETTER[letter]


def own_permission(workspace: Mapping[str, Any], user: str | None) -> Permission:
    """What ``user`` (None: nobody in particular) was given on a workspace, whatever everybody may do."""
    return Permission(workspace["acl"].get(user, Permission.NONE))


def require(workspace: Mapping[str, Any], user: str | None, needed: Permission, action: str) -> None:
    """Check that ``user`` has the permission, themselves or (to read) as everybody.

    ``action`` completes "User alice may not …".

    Raises:
        WorkspaceError: they have not.
    """
    if not allowed(workspace, user, needed):
        who = "Anonymous users" if user is None else f"User {user}"
        raise WorkspaceError(f"{who} may not {action}")


def allowed(workspace: Mapping[str, Any], user: str | None, needed: Permission) -> bool:
    """Whether ``user`` has the permission, themselves or (to read) as everybody."""
    everybody = Permission.READ if workspace["globalread"] else Permission.NONE
    return max(own_permission(workspace, user), everybody) >= needed


def visible_permissions(workspace: Mapping[str, Any], user: str | None, *, as_admin: bool) -> dict[str, str]:
    """Who has which permission, as far as ``user`` may know: all with write access, otherwise their own."""
    shown = {EVERYBODY: Permission.READ.letter} if workspace["globalread"] else {}
    if as_admin or own_permission(workspace, user) >= Permission.WRITE:
        shown |= {name: Permission(given).letter for name, given in workspace["acl"].items()}
    elif user is not None:
        shown[user] = own_permission(workspace, user).letter
    return shown
