"""Which workspaces there are for a user; one query for each list, whatever its length."""

from collections.abc import Iterable
from typing import Any

from execution_engine.embedded.workspace.errors import WorkspaceError
from execution_engine.embedded.workspace.metadata import to_pairs
from execution_engine.embedded.workspace.parameters import ListWorkspaceIDsParams, ListWorkspaceInfoParams
from execution_engine.embedded.workspace.permissions import Permission, own_permission, parse_permission
from execution_engine.embedded.workspace.storage import Collections, Document
from execution_engine.embedded.workspace.times import choose_time
from execution_engine.embedded.workspace.workspaces import workspace_info


def _at_least(user: str | None, needed: Permission) -> list[Document]:
    """The condition that ``user`` was given the permission, as a list to join with "or"; nobody was given any."""
    return [] if user is None else [{f"acl.{user}": {"$gte": int(needed)}}]


class Listing:
    """The lists of workspaces."""

    def __init__(self, collections: Collections) -> None:
        self._workspaces = collections.workspaces

    def ids(self, user: str | None, params: ListWorkspaceIDsParams) -> dict[str, list[int]]:
        """The numbers of the workspaces that were shared with ``user``, and (``pub``) of those that are only public."""
        only_global = bool(params.only_global)
        exclude_global = False if only_global else params.exclude_global != 0
        reader = None if only_global else user
        found = list(self._find(reader, _minimum(params.perm), exclude_global, {"deleted": False}, {"acl": 1}))
        public = {workspace["_id"] for workspace in found if own_permission(workspace, reader) is Permission.NONE}
        return {
            "workspaces": sorted(workspace["_id"] for workspace in found if workspace["_id"] not in public),
            "pub": sorted(public),
        }

    def infos(self, user: str | None, params: ListWorkspaceInfoParams) -> list[list[Any]]:
        """The descriptions of the workspaces that ``user`` may use, in order of their numbers.

        Deleted ones are shown to their owner, on request.
        """
        condition: Document = {}
        if params.owners:
            condition["owner"] = {"$in": params.owners}
        if pairs := to_pairs(params.meta):
            if len(pairs) > 1:
                raise WorkspaceError("Only one metadata spec allowed")
            condition["meta"] = {"$elemMatch": pairs[0]}
        limits = {
            "$gt": choose_time(params.after, params.after_epoch, "after parameter"),
            "$lt": choose_time(params.before, params.before_epoch, "before parameter"),
        }
        if given := {operator: time for operator, time in limits.items() if time is not None}:
            condition["moddate"] = given
        if params.show_only_deleted:
            condition |= {"deleted": True, "owner": user}
        elif params.show_deleted:
            condition["$and"] = [{"$or": [{"deleted": False}, {"owner": user}]}]
        else:
            condition["deleted"] = False
        found = self._find(user, _minimum(params.perm), bool(params.exclude_global), condition, None)
        return [workspace_info(workspace, user) for workspace in sorted(found, key=lambda each: int(each["_id"]))]

    def owners(self) -> list[str]:
        """Everybody who owns a workspace."""
        return sorted(self._workspaces.distinct("owner"))

    def _find(
        self,
        user: str | None,
        needed: Permission,
        exclude_global: bool,
        condition: Document,
        projection: Document | None,
    ) -> Iterable[Document]:
        ways = _at_least(user, needed)
        if not exclude_global and needed <= Permission.READ:
            ways.append({"globalread": True})
        return self._workspaces.find({**condition, "$or": ways}, projection) if ways else []


def _minimum(letter: str | None) -> Permission:
    return Permission.READ if letter is None else max(Permission.READ, parse_permission(letter))
