"""What a user may do in a workspace."""

import enum
from dataclasses import dataclass

PUBLIC = "*"  # stands for everybody among the users of a workspace


class Permission(enum.IntEnum):
    """The Workspace's four levels, each with all rights of the one below."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3

    @classmethod
    def from_letter(cls, letter: str) -> "Permission":
        """The level that the Workspace writes as n, r, w or a.

        Raises:
            KeyError: it is none of these.
        """
        return _LETTERS[letter]


_LETTERS = {"n": Permission.NONE, "r": Permission.READ, "w": Permission.WRITE, "a": Permission.ADMIN}


@dataclass(frozen=True, slots=True)
class WorkspaceAccess:
    """One user's access to one workspace.

    ``permission`` is the user's own; ``public`` says that everybody may read; ``deleted`` that the workspace was
    deleted or never existed (nobody has access then).
    """

    permission: Permission
    public: bool = False
    deleted: bool = False
