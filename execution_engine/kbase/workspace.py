"""The Workspace: who may read and write, what a narrative is called, which objects there are."""

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from execution_engine.core.errors import (
    ObjectNotReadable,
    PermissionDenied,
    WorkspaceNotFound,
    WorkspaceUnavailable,
)
from execution_engine.kbase.bulk import ask_without_bad
from execution_engine.kbase.http import HttpService
from execution_engine.kbase.jsonrpc import JsonRpc, ServiceFault
from execution_engine.kbase.objects import ObjectInfo, WorkspaceObject, is_ref
from execution_engine.kbase.permissions import PUBLIC, Permission, WorkspaceAccess

WORKSPACES_PER_CALL = 1000  # the Workspace takes no more
OBJECTS_PER_CALL = 1000
_MAX_WORKSPACE_ID = 2**53 - 1

_GONE = re.compile(r"No workspace with id (\d+) exists|Workspace (\d+) is deleted")
_NO_ACCESS = re.compile(r"(?:User \S+|Anonymous users) may not ")
_NO_OBJECT = re.compile(r"No object with |Object .*(?:cannot be accessed|deleted)|Error on ObjectSpecification")
_BAD_REF = re.compile(r"Error on ObjectSpecification #(\d{1,6}):")
_NO_ADMIN = re.compile(r"is not an admin|Full administration rights required")


@dataclass(frozen=True, slots=True)
class WorkspaceInfo:
    """A workspace. ``title``: what its narrative is called; None if it is none."""

    id: int
    name: str
    owner: str
    title: str | None


class Workspace:
    """The Workspace at one URL.

    Every method raises WorkspaceUnavailable when it is out of reach, and TokenMissing, TokenInvalid or AccountDisabled
    when it refuses the token.
    """

    def __init__(self, url: str, timeout: float = 10.0, *, connections: int = 16) -> None:
        http = HttpService("Workspace", url, WorkspaceUnavailable, timeout=timeout, connections=connections)
        self._rpc = JsonRpc(http, "Workspace")

    def ping(self) -> None:
        """Nothing, if the Workspace answers; which answer does not matter."""
        with contextlib.suppress(ServiceFault):
            self._rpc.call("ver", [])

    def permissions(self, user: str, wsids: Iterable[int], token: str) -> dict[int, WorkspaceAccess]:
        """The access of ``user``, the owner of ``token``, to every one of the workspaces.

        Where many of them are deleted or missing, the rest is decided from the lists of what the user can use;
        ``deleted`` is then not known and left False.
        """
        access = {wsid: WorkspaceAccess(Permission.NONE, deleted=True) for wsid in wsids}

        def ask(ids: list[int]) -> list[dict[str, str]]:
            return list(self._rpc.call("get_permissions_mass", [_identities(ids)], token)["perms"])

        with self._rpc.understood("get_permissions_mass"):
            users_of, undecided = ask_without_bad(_possible(access), ask, _gone_workspace, per_call=WORKSPACES_PER_CALL)
            for wsid, users in users_of.items():
                own = Permission.from_letter(users.get(user, "n"))
                access[wsid] = WorkspaceAccess(own, public=users.get(PUBLIC, "n") != "n")
        if undecided:
            access.update(self._access_from_lists(undecided, token))
        return access

    def mass_permissions_as_admin(self, wsids: Iterable[int], token: str) -> dict[int, dict[str, Permission]]:
        """All users of every workspace, ``"*"`` among them if it is public; none where it is deleted or missing.

        Takes one more call for each that is deleted or missing.

        Raises:
            PermissionDenied: the token's owner is no admin of the Workspace.
        """
        users_by_id: dict[int, dict[str, Permission]] = {wsid: {} for wsid in wsids}

        def ask(ids: list[int]) -> list[dict[str, str]]:
            command = {"command": "getPermissionsMass", "params": _identities(ids)}
            try:
                return list(self._rpc.call("administer", [command], token)["perms"])
            except ServiceFault as fault:
                if _NO_ADMIN.search(fault.message):
                    raise PermissionDenied(f"The Workspace refuses: {fault.message}.") from fault
                raise

        with self._rpc.understood("administer"):
            left = _possible(users_by_id)
            while left:
                users_of, left = ask_without_bad(left, ask, _gone_workspace, per_call=WORKSPACES_PER_CALL)
                for wsid, users in users_of.items():
                    users_by_id[wsid] = {user: Permission.from_letter(letter) for user, letter in users.items()}
        return users_by_id

    def readable_workspaces(self, token: str) -> list[int]:
        """The ids of all workspaces that the user owns or that are shared with the user, without public ones."""
        own, _ = self._ids(token)
        return sorted(own)

    def info(self, wsid: int, token: str) -> WorkspaceInfo:
        """Name, owner and title.

        Raises:
            WorkspaceNotFound: missing, deleted, or not readable: which of these is not said.
        """
        with self._rpc.understood("get_workspace_info"):
            try:
                found = self._rpc.call("get_workspace_info", [{"id": wsid}], token)
            except ServiceFault as fault:
                if not (_GONE.match(fault.message) or _NO_ACCESS.match(fault.message)):
                    raise
                raise WorkspaceNotFound(f"There is no workspace {wsid}, or you may not read it.") from fault
            number, name, owner, *_, meta = found
            return WorkspaceInfo(number, name, owner, meta.get("narrative_nice_name"))

    def object_infos(self, refs: list[str], token: str) -> list[ObjectInfo | None]:
        """One for each reference, in order; None where the object is missing, unreadable, or the reference no such."""

        def ask(some: list[str]) -> list[ObjectInfo | None]:
            params = {"objects": [{"ref": ref} for ref in some], "ignoreErrors": 1}
            infos = self._rpc.call("get_object_info3", [params], token)["infos"]
            return [None if info is None else ObjectInfo.from_tuple(info) for info in infos]

        distinct = [ref for ref in dict.fromkeys(refs) if is_ref(ref)]
        with self._rpc.understood("get_object_info3"):
            found, _ = ask_without_bad(distinct, ask, _bad_ref, per_call=OBJECTS_PER_CALL)
        return [found.get(ref) for ref in refs]

    def unreadable_objects(self, refs: list[str], token: str) -> list[str]:
        """Those of ``refs`` that do not exist or that the user may not read."""
        return [ref for ref, info in zip(refs, self.object_infos(refs, token), strict=True) if info is None]

    def get_objects(self, refs: list[str], token: str) -> list[WorkspaceObject]:
        """The objects with their data, in order. Ask :meth:`object_infos` for their sizes first.

        Raises:
            ObjectNotReadable: one of them is missing or not readable; the message is the Workspace's.
        """
        if not refs:
            return []
        with self._rpc.understood("get_objects2"):
            try:
                answer = self._rpc.call("get_objects2", [{"objects": [{"ref": ref} for ref in refs]}], token)
            except ServiceFault as fault:
                if not any(text.match(fault.message) for text in (_NO_OBJECT, _GONE, _NO_ACCESS)):
                    raise
                raise ObjectNotReadable(f"The Workspace refuses: {fault.message}.") from fault
            objects = [WorkspaceObject(ObjectInfo.from_tuple(it["info"]), it["data"]) for it in answer["data"]]
            if len(objects) != len(refs):
                raise ValueError(f"{len(objects)} objects for {len(refs)} references")
            return objects

    def _ids(self, token: str, perm: str = "r", *, with_public: bool = False) -> tuple[set[int], set[int]]:
        """Own or shared, and only public workspaces."""
        params: dict[str, Any] = {} if perm == "r" else {"perm": perm}
        if with_public:
            params["excludeGlobal"] = 0
        with self._rpc.understood("list_workspace_ids"):
            answer = self._rpc.call("list_workspace_ids", [params], token)
            return set(answer["workspaces"]), set(answer["pub"])

    def _access_from_lists(self, wsids: list[int], token: str) -> dict[int, WorkspaceAccess]:
        readable, public = self._ids(token, with_public=True)
        writable, _ = self._ids(token, "w")
        administered, _ = self._ids(token, "a")
        # Each list is part of the one before, so the number of lists with the workspace is its level.
        return {
            wsid: WorkspaceAccess(
                Permission(sum(wsid in level for level in (readable, writable, administered))), public=wsid in public
            )
            for wsid in wsids
        }


def _possible(wsids: Iterable[int]) -> list[int]:
    """Without ids that no workspace can have, which would fail the call for all."""
    return [wsid for wsid in wsids if 0 < wsid <= _MAX_WORKSPACE_ID]


def _identities(wsids: list[int]) -> dict[str, Any]:
    return {"workspaces": [{"id": wsid} for wsid in wsids]}


def _gone_workspace(message: str, asked: list[int]) -> int | None:
    found = _GONE.match(message)
    wsid = int(found[1] or found[2]) if found else None
    return wsid if wsid in asked else None


def _bad_ref(message: str, asked: list[str]) -> str | None:
    found = _BAD_REF.match(message)
    return asked[int(found[1]) - 1] if found and 0 < int(found[1]) <= len(asked) else None
