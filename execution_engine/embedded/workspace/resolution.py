"""From what clients call objects to the documents of those objects, with access checked, many at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from execution_engine.embedded.workspace.errors import WorkspaceError
from execution_engine.embedded.workspace.identifiers import ObjectKey, object_key, parse_reference, workspace_key
from execution_engine.embedded.workspace.parameters import ObjectSpecification
from execution_engine.embedded.workspace.permissions import Permission, require
from execution_engine.embedded.workspace.storage import Collections, Document
from execution_engine.embedded.workspace.workspaces import Workspaces, check_exists

MAX_OBJECTS = 10_000


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One version of an object, with its workspace."""

    workspace: Document
    object: Document
    version: Document

    @property
    def reference(self) -> str:
        """Its address in numbers: workspace/object/version."""
        return str(self.version["_id"])

    @property
    def number(self) -> int:
        """The version's number."""
        return int(self.reference.rpartition("/")[2])


def specified_keys(specifications: Sequence[ObjectSpecification] | None) -> list[ObjectKey]:
    """The keys that clients mean; what is wrong with one is said with its place in the list.

    Raises:
        WorkspaceError: there is none or too many, or one has a form that can't be an object's.
    """
    if not specifications:
        raise WorkspaceError("No object specifications provided")
    if len(specifications) > MAX_OBJECTS:
        raise WorkspaceError(f"At most {MAX_OBJECTS} objects can be requested at once")
    keys = []
    for place, specification in enumerate(specifications, 1):
        try:
            keys.append(_specified_key(specification))
        except WorkspaceError as error:
            raise WorkspaceError(f"Error on ObjectSpecification #{place}: {error.message}") from None
    return keys


def _specified_key(given: ObjectSpecification) -> ObjectKey:
    if given.ref is None:
        return object_key(workspace_key(given.workspace, given.wsid), given.name, given.objid, given.ver)
    if any(part is not None for part in (given.workspace, given.wsid, given.name, given.objid, given.ver)):
        raise WorkspaceError(
            f"Object reference {given.ref} provided; cannot provide any other means of identifying an object."
        )
    return parse_reference(given.ref)


class Resolution:
    """Finds objects; a fixed number of queries for any number of them."""

    def __init__(self, collections: Collections, workspaces: Workspaces) -> None:
        self._collections = collections
        self._workspaces = workspaces

    def find(self, user: str | None, keys: Sequence[ObjectKey], *, ignore_errors: bool) -> list[FoundObject | None]:
        """The objects in the order of ``keys``; None, where errors are ignored, for what is not there for ``user``.

        Raises:
            WorkspaceError: an object or its workspace does not exist, or ``user`` may not read it.
        """
        if not keys:
            return []
        workspaces = self._readable(user, keys, ignore_errors=ignore_errors)
        objects = self._objects(keys, workspaces)
        wanted = {key: _version_id(key, objects[key]) for key in objects}
        versions = {
            version["_id"]: version for version in self._collections.versions.find({"_id": {"$in": [*wanted.values()]}})
        }
        found: list[FoundObject | None] = []
        for key in keys:
            version = versions.get(wanted.get(key, ""))
            if version is not None:
                found.append(FoundObject(workspaces[key], objects[key], version))
            elif ignore_errors:
                found.append(None)
            else:
                raise WorkspaceError(_missing(key, workspaces[key], objects.get(key)))
        return found

    def _readable(
        self, user: str | None, keys: Sequence[ObjectKey], *, ignore_errors: bool
    ) -> dict[ObjectKey, Document]:
        """The workspaces of those objects that ``user`` may read."""
        found = self._workspaces.find({key.workspace for key in keys})
        readable = {}
        for key in keys:
            try:
                workspace = check_exists(key.workspace, found.get(key.workspace))
                require(workspace, user, Permission.READ, f"read workspace {key.workspace}")
            except WorkspaceError as error:
                if not ignore_errors:
                    raise WorkspaceError(f"Object {key} cannot be accessed: {error.message}") from None
            else:
                readable[key] = workspace
        return readable

    def _objects(
        self, keys: Sequence[ObjectKey], workspaces: Mapping[ObjectKey, Document]
    ) -> dict[ObjectKey, Document]:
        """The objects that exist, whatever their versions."""
        ids = [f"{workspaces[key]['_id']}/{key.id}" for key in workspaces if key.id is not None]
        names: dict[int, list[str | None]] = defaultdict(list)
        for key in workspaces:
            if key.id is None:
                names[workspaces[key]["_id"]].append(key.name)
        conditions: list[dict[str, Any]] = [{"ws": number, "name": {"$in": some}} for number, some in names.items()]
        if ids:
            conditions.append({"_id": {"$in": ids}})
        if not conditions:
            return {}
        by_place: dict[tuple[int, str | int], Document] = {}
        for document in self._collections.objects.find({"$or": conditions}):
            by_place[document["ws"], document["objid"]] = by_place[document["ws"], document["name"]] = document
        found = {key: by_place.get((workspaces[key]["_id"], key.id or str(key))) for key in keys if key in workspaces}
        return {key: document for key, document in found.items() if document is not None}


def _version_id(key: ObjectKey, document: Document) -> str:
    return f"{document['_id']}/{key.version or document['latest']}"


def _missing(key: ObjectKey, workspace: Document, document: Document | None) -> str:
    where = f"exists in workspace {workspace['_id']} (name {workspace['name']})"
    if document is None or not document["latest"] or key.version is None:
        return f"No object with {'name' if key.id is None else 'id'} {key} {where}"
    return f"No object with id {document['objid']} (name {document['name']}) and version {key.version} {where}"
