"""Saving objects: everything is checked before anything is written.

An object's number is given by its workspace in one step, a version's by its address, which can exist only once; so two
who save at once get two numbers. A version is seen when ``latest`` reaches it, which is the last write: a crash before
that leaves nothing behind that anybody sees.
"""

import hashlib
import zlib
from dataclasses import dataclass
from typing import Any, cast

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from execution_engine.core.json_text import canonical_json
from execution_engine.embedded.workspace import provenance
from execution_engine.embedded.workspace.errors import WorkspaceError
from execution_engine.embedded.workspace.identifiers import (
    ObjectKey,
    WorkspaceKey,
    check_object_name_or_id,
    full_type,
    workspace_key,
)
from execution_engine.embedded.workspace.metadata import Pairs, to_pairs
from execution_engine.embedded.workspace.parameters import ObjectSaveData, ProvenanceAction, SaveObjectsParams
from execution_engine.embedded.workspace.permissions import Permission
from execution_engine.embedded.workspace.reading import object_info
from execution_engine.embedded.workspace.resolution import FoundObject, Resolution
from execution_engine.embedded.workspace.storage import Collections, Document
from execution_engine.embedded.workspace.workspaces import Workspaces, moment

MAX_DATA_BYTES = 15_000_000  # with its provenance it fits a document of MongoDB's even where it can't be compressed
FASTEST = 1


@dataclass(frozen=True, slots=True)
class _Draft:
    """A checked object before it has a place; ``what`` names it in messages."""

    what: str
    name: str | None
    objid: int | None
    type: str
    data: bytes
    meta: Pairs
    actions: list[ProvenanceAction]
    hidden: bool


def _draft(place: int, given: ObjectSaveData) -> _Draft:
    what = f"Object #{place}"
    try:
        check_object_name_or_id(given.name, given.objid)
        what = f"{what}, {given.objid if given.name is None else given.name}"
        return _Draft(
            what,
            given.name,
            given.objid,
            full_type(given.type),
            _text(given.data),
            to_pairs(given.meta),
            given.provenance or [],
            bool(given.hidden),
        )
    except WorkspaceError as error:
        raise WorkspaceError(f"{what}: {error.message}") from None


def _text(data: Any) -> bytes:
    if data is None:
        raise WorkspaceError("no data")
    try:
        text = canonical_json(data)
    except (ValueError, RecursionError) as error:
        raise WorkspaceError(f"the data can't be stored as JSON: {error}") from None
    if len(text) > MAX_DATA_BYTES:
        raise WorkspaceError(f"data size {len(text)} exceeds limit of {MAX_DATA_BYTES}")
    return text


class Saving:
    """Puts objects into workspaces."""

    def __init__(self, collections: Collections, workspaces: Workspaces, resolution: Resolution) -> None:
        self._collections = collections
        self._workspaces = workspaces
        self._resolution = resolution

    def save(self, user: str, params: SaveObjectsParams) -> list[list[Any]]:
        """Save the objects in their order; what each has become.

        Raises:
            WorkspaceError: the user may not write there, or an object can't be saved; then none is.
        """
        key = workspace_key(params.workspace, params.id)
        if not params.objects:
            raise WorkspaceError("No data provided")
        drafts = [_draft(place, given) for place, given in enumerate(params.objects, 1)]
        workspace = self._workspaces.accessible(user, key, Permission.WRITE, "write to")
        histories = [self._history(user, draft) for draft in drafts]
        self._check_numbers(user, key, drafts)
        saved = [
            self._save(user, key, workspace, draft, history) for draft, history in zip(drafts, histories, strict=True)
        ]
        self._workspaces.update(key, workspace["_id"], {"$max": {"moddate": moment()}})
        return [object_info(each, with_metadata=True) for each in saved]

    def _history(self, user: str, draft: _Draft) -> bytes:
        """The provenance as it is kept."""
        resolved = provenance.resolve_inputs(self._resolution, user, draft.actions, draft.what)
        try:
            text = _text(provenance.stored(draft.actions, resolved))
        except WorkspaceError as error:
            raise WorkspaceError(f"{draft.what}: provenance: {error.message}") from None
        if len(text) > provenance.MAX_BYTES:
            raise WorkspaceError(f"{draft.what} provenance size {len(text)} exceeds limit of {provenance.MAX_BYTES}")
        return zlib.compress(text, FASTEST)

    def _check_numbers(self, user: str, key: WorkspaceKey, drafts: list[_Draft]) -> None:
        """An object that is named by its number must be there."""
        keys = [ObjectKey(key, draft.objid, None, None) for draft in drafts if draft.objid is not None]
        self._resolution.find(user, keys, ignore_errors=False)

    def _save(self, user: str, key: WorkspaceKey, workspace: Document, draft: _Draft, history: bytes) -> FoundObject:
        document = self._object(key, workspace["_id"], draft)
        content = {"_id": ObjectId(), "text": zlib.compress(draft.data, FASTEST), "provenance": history}
        self._collections.data.insert_one(content)
        version = {
            "type": draft.type,
            "saved_at": moment(),
            "saved_by": user,
            # The checksum is a part of the protocol, and no protection.
            "md5": hashlib.md5(draft.data, usedforsecurity=False).hexdigest(),
            "size": len(draft.data),
            "meta": draft.meta,
            "data": content["_id"],
        }
        number = document["latest"] + 1
        while not self._insert({"_id": f"{document['_id']}/{number}", **version}):
            number += 1
        changed = self._collections.objects.find_one_and_update(
            {"_id": document["_id"]},
            {"$max": {"latest": number}, "$set": {"hidden": draft.hidden}},
            return_document=ReturnDocument.AFTER,
        )
        return FoundObject(workspace, cast("Document", changed), {"_id": f"{document['_id']}/{number}", **version})

    def _insert(self, version: Document) -> bool:
        """Whether the address was free."""
        try:
            self._collections.versions.insert_one(version)
        except DuplicateKeyError:
            return False
        return True

    def _object(self, key: WorkspaceKey, wsid: int, draft: _Draft) -> Document:
        """The object that the draft is a version of, made where its name is new."""
        objects = self._collections.objects
        if draft.objid is not None:
            # It was there when the numbers were checked, and no object is ever removed.
            return cast("Document", objects.find_one({"_id": f"{wsid}/{draft.objid}"}))
        by_name = {"ws": wsid, "name": draft.name}
        if existing := objects.find_one(by_name):
            return existing
        number = self._workspaces.update(key, wsid, {"$inc": {"max_objid": 1}})["max_objid"]
        document = {"_id": f"{wsid}/{number}", "objid": number, "hidden": draft.hidden, "latest": 0, **by_name}
        try:
            objects.insert_one(document)
        except DuplicateKeyError:  # somebody else made it just now
            return cast("Document", objects.find_one(by_name))
        return document
