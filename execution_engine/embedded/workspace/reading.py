"""Reading objects: what they are, and their data."""

import zlib
from collections.abc import Sequence
from typing import Any

from execution_engine.embedded.workspace.envelope import JsonText
from execution_engine.embedded.workspace.errors import WorkspaceError
from execution_engine.embedded.workspace.identifiers import workspace_key
from execution_engine.embedded.workspace.metadata import from_pairs
from execution_engine.embedded.workspace.parameters import (
    GetObjectInfo3Params,
    GetObjectInfoNewParams,
    GetObjects2Params,
    ListObjectsParams,
)
from execution_engine.embedded.workspace.permissions import Permission, require
from execution_engine.embedded.workspace.resolution import FoundObject, Resolution, specified_keys
from execution_engine.embedded.workspace.storage import Collections
from execution_engine.embedded.workspace.times import format_time
from execution_engine.embedded.workspace.workspaces import Workspaces, check_exists

# What one call returns is built in memory, a few times over.
MAX_RETURNED_BYTES = 60_000_000
MAX_LISTED = 10_000
FIELDS = (*("objid", "name", "type", "save_date", "version", "saved_by", "wsid", "workspace", "chsum", "size", "meta"),)


def object_info(found: FoundObject, *, with_metadata: bool) -> list[Any]:
    """The tuple that describes a version of an object, its values in the order of ``FIELDS``."""
    return [
        found.object["objid"],
        found.object["name"],
        found.version["type"],
        format_time(found.version["saved_at"]),
        found.number,
        found.version["saved_by"],
        found.workspace["_id"],
        found.workspace["name"],
        found.version["md5"],
        found.version["size"],
        from_pairs(found.version["meta"]) if with_metadata else None,
    ]


class Reading:
    """Objects as clients read them."""

    def __init__(self, collections: Collections, workspaces: Workspaces, resolution: Resolution) -> None:
        self._collections = collections
        self._workspaces = workspaces
        self._resolution = resolution

    def infos(self, user: str | None, params: GetObjectInfo3Params | GetObjectInfoNewParams) -> list[list[Any] | None]:
        """What the objects are (``get_object_info_new``)."""
        with_metadata = bool(params.include_metadata)
        found = self._find(user, params)
        return [None if each is None else object_info(each, with_metadata=with_metadata) for each in found]

    def infos_and_paths(self, user: str | None, params: GetObjectInfo3Params) -> dict[str, Any]:
        """What the objects are and their addresses in numbers (``get_object_info3``)."""
        with_metadata = bool(params.include_metadata)
        found = self._find(user, params)
        if params.infostruct:
            return {"infostructs": [None if each is None else _struct(each, with_metadata) for each in found]}
        return {
            "infos": [None if each is None else object_info(each, with_metadata=with_metadata) for each in found],
            "paths": [None if each is None else [each.reference] for each in found],
        }

    def objects(self, user: str | None, params: GetObjects2Params) -> dict[str, Any]:
        """The objects with data, unless ``no_data`` is set, and provenance (``get_objects2``)."""
        found = self._find(user, params)
        size = sum(each.version["size"] for each in found if each)
        if not params.no_data and size > MAX_RETURNED_BYTES:
            raise WorkspaceError(
                f"Too much data requested from the workspace at once; data requested including potential subsets is "
                f"{size}B which exceeds maximum of {MAX_RETURNED_BYTES}."
            )
        wanted = {"_id": {"$in": [each.version["data"] for each in found if each]}}
        contents = {
            content["_id"]: content
            for content in self._collections.data.find(wanted, {"text": 0} if params.no_data else None)
        }
        return {"data": [each and _object_data(each, contents[each.version["data"]]) for each in found]}

    def list_objects(self, user: str | None, params: ListObjectsParams) -> list[list[Any]]:
        """The newest versions in some workspaces, in order of workspace and object number."""
        keys = [workspace_key(None, number) for number in params.ids or []]
        keys += [workspace_key(name, None) for name in params.workspaces or []]
        if not keys:
            raise WorkspaceError("At least one workspace must be specified")
        existing = self._workspaces.find(keys)
        workspaces = {}
        for key in keys:
            workspace = check_exists(key, existing.get(key))
            require(workspace, user, Permission.READ, f"read workspace {key}")
            workspaces[workspace["_id"]] = workspace
        numbers = {"$gte": params.min_object_id or 1, "$lte": params.max_object_id or 2**63 - 1}
        condition: dict[str, Any] = {"ws": {"$in": [*workspaces]}, "objid": numbers, "latest": {"$gt": 0}}
        if not params.show_hidden:
            condition["hidden"] = False
        limit = params.limit if params.limit and 0 < params.limit < MAX_LISTED else MAX_LISTED
        objects = list(self._collections.objects.find(condition).sort([("ws", 1), ("objid", 1)]).limit(limit))
        ids = [f"{document['_id']}/{document['latest']}" for document in objects]
        versions = {version["_id"]: version for version in self._collections.versions.find({"_id": {"$in": ids}})}
        return [
            object_info(
                FoundObject(workspaces[document["ws"]], document, versions[reference]),
                with_metadata=bool(params.include_metadata),
            )
            for document, reference in zip(objects, ids, strict=True)
        ]

    def _find(
        self, user: str | None, params: GetObjects2Params | GetObjectInfo3Params | GetObjectInfoNewParams
    ) -> Sequence[FoundObject | None]:
        keys = specified_keys(params.objects)
        return self._resolution.find(user, keys, ignore_errors=bool(params.ignore_errors))


def _struct(found: FoundObject, with_metadata: bool) -> dict[str, Any]:
    info = object_info(found, with_metadata=with_metadata)
    fields = {name: value for name, value in zip(FIELDS, info, strict=True) if value is not None}
    return {**fields, "path": [found.reference]}


def _object_data(found: FoundObject, content: dict[str, Any]) -> dict[str, Any]:
    saved_at = found.version["saved_at"]
    described = {
        "info": object_info(found, with_metadata=True),
        "path": [found.reference],
        "provenance": JsonText(zlib.decompress(content["provenance"])),
        "creator": found.version["saved_by"],
        "orig_wsid": found.workspace["_id"],
        "created": format_time(saved_at),
        "epoch": saved_at,
        "refs": [],
        "copy_source_inaccessible": 0,
        "extracted_ids": {},
    }
    return {"data": JsonText(zlib.decompress(content["text"])), **described} if "text" in content else described
