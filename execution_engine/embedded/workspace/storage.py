"""The collections of the service, their documents, their numbering and their indexes.

``ws_workspaces``: ``_id`` (the number), ``name``, ``owner``, ``acl`` {user: permission}, ``globalread``, ``deleted``,
``moddate`` (ms), ``max_objid``, ``meta`` [{k, v}], ``description``.
``ws_objects``: ``_id`` "wsid/objid", ``ws``, ``objid``, ``name``, ``hidden``, ``latest``: the newest version, 0 before
there is one.
``ws_versions``: ``_id`` "wsid/objid/version", ``type``, ``saved_at`` (ms), ``saved_by``, ``md5``, ``size``, ``meta``,
``data``: where the data is. Never changed.
``ws_data``: ``text`` and ``provenance``, compressed JSON text, because BSON would refuse big integers and odd keys.
``ws_counters``: ``_id``, ``value``: the last number given.
"""

from typing import Any, NamedTuple, cast

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.database import Database

Document = dict[str, Any]


class _Index(NamedTuple):
    collection: str
    keys: list[tuple[str, int]]
    unique: bool
    serves: str


INDEXES = (
    _Index("ws_workspaces", [("name", ASCENDING)], True, "a workspace by name; no two have one name"),
    _Index("ws_workspaces", [("acl.$**", ASCENDING)], False, "the workspaces that were shared with a user"),
    _Index("ws_workspaces", [("owner", ASCENDING)], False, "all owners; the workspaces of some"),
    _Index("ws_workspaces", [("globalread", ASCENDING), ("_id", ASCENDING)], False, "the public workspaces"),
    _Index("ws_objects", [("ws", ASCENDING), ("name", ASCENDING)], True, "an object by name; no two have one name"),
    _Index("ws_objects", [("ws", ASCENDING), ("objid", ASCENDING)], True, "the objects of a workspace in order"),
)


class Collections:
    """The collections in one database."""

    def __init__(self, database: Database[Document]) -> None:
        """Make the indexes where they are missing."""
        self.database = database
        self.workspaces = database["ws_workspaces"]
        self.objects = database["ws_objects"]
        self.versions = database["ws_versions"]
        self.data = database["ws_data"]
        self._counters = database["ws_counters"]
        for name in {index.collection for index in INDEXES}:
            models = [IndexModel(index.keys, unique=index.unique) for index in INDEXES if index.collection == name]
            database[name].create_indexes(models)

    def next_workspace_id(self) -> int:
        """A number that no workspace has had; they count from 1."""
        counter = self._counters.find_one_and_update(
            {"_id": "workspace"}, {"$inc": {"value": 1}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        return int(cast("Document", counter)["value"])
