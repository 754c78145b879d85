"""The cold half of a job: what went in and what came out, ``job_io``.

JSON text, compressed (BSON would refuse big integers and odd keys). Two kinds of document, told apart by the end of
their ids: ``<job>.in`` has the input and, while the job needs it, the submitter's encrypted token;
``<job>.out.<n>.<d>`` has what attempt ``n`` reported, ``d`` from the report's digest, so that two reports never
overwrite each other. The record names the one that counts; the others are deleted after the job's end.
"""

import contextlib
import threading
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from cachetools import LRUCache
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from execution_engine.core.json_text import from_json
from execution_engine.store.database import BATCH_DOCUMENTS, Document, one_of

_LEVEL = 1  # most of the gain for a quarter of the time
_KEPT_BYTES = 16 * 1024 * 1024
_LARGEST_KEPT = 64 * 1024
_BEFORE_ALL = ObjectId("0" * 24)


def input_key(job_id: ObjectId) -> str:
    """The id of a job's input document."""
    return f"{job_id}.in"


def output_key(job_id: ObjectId, attempt: int, digest: str) -> str:
    """The id of the output document of one report of one attempt."""
    return f"{job_id}.out.{attempt}.{digest[:16]}"


def input_document(job_id: ObjectId, text: bytes, token: bytes | None, at: datetime) -> Document:
    """The document of a job's input, ``text`` being its JSON."""
    document: Document = {"_id": input_key(job_id), "z": zlib.compress(text, _LEVEL), "at": at}
    if token is not None:
        document["token"] = token
    return document


class PayloadStore:
    """Writes once, reads, and erases tokens."""

    def __init__(self, database: Database[Document]) -> None:
        self._io = database.job_io
        self._sweeps = database.sweeps
        # What is written is never changed, and jobs are looked up again and again: keep the last ones, compressed.
        self._kept: LRUCache[str, bytes] = LRUCache(_KEPT_BYTES, getsizeof=len)
        self._lock = threading.Lock()

    def put_inputs(self, documents: Sequence[Document]) -> None:
        """Store inputs, before the jobs that they belong to exist."""
        if len(documents) == 1:
            self._io.insert_one(documents[0])
        else:
            self._io.insert_many(documents, ordered=False)

    def put_output(self, key: str, text: bytes, at: datetime) -> None:
        """Store a report's output; the same again changes nothing."""
        with contextlib.suppress(DuplicateKeyError):
            self._io.insert_one({"_id": key, "z": zlib.compress(text, _LEVEL), "at": at})

    def get(self, key: str) -> Any:
        """The stored value; None if there is none."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Stored values by key; unknown keys are left out."""
        found = self._io.find({"_id": one_of(keys)}, {"z": 1}).batch_size(BATCH_DOCUMENTS)
        packed = {document["_id"]: document["z"] for document in found}
        with self._lock:
            self._kept.update((key, text) for key, text in packed.items() if len(text) <= _LARGEST_KEPT)
        return _unpacked(packed)

    def remembered(self, keys: Iterable[str]) -> dict[str, Any]:
        """Those of the values that were read lately and are still at hand; costs no query."""
        with self._lock:
            packed = {key: text for key in keys if (text := self._kept.get(key)) is not None}
        return _unpacked(packed)

    def get_token(self, job_id: ObjectId) -> bytes | None:
        """The submitter's encrypted token, until the job has ended."""
        document = self._io.find_one({"_id": input_key(job_id)}, {"token": 1})
        return None if document is None else document.get("token")

    def erase_tokens(self, job_ids: Iterable[ObjectId]) -> None:
        """Forget the submitters' tokens of these jobs."""
        keys = [input_key(job_id) for job_id in job_ids]
        self._io.update_many({"_id": {"$in": keys}, "token": {"$exists": True}}, {"$unset": {"token": ""}})

    def delete(self, keys: Iterable[str]) -> None:
        """Remove documents that belong to nothing."""
        gone = list(keys)
        self._io.delete_many({"_id": {"$in": gone}})
        with self._lock:
            for key in gone:
                self._kept.pop(key, None)

    def delete_outputs(self, counted: Mapping[ObjectId, str | None]) -> None:
        """Remove all outputs of these jobs but the one that counts."""
        ranges = [{"_id": {"$gte": f"{job_id}.out.", "$lt": f"{job_id}.out/"}} for job_id in counted]
        if ranges:
            found = [document["_id"] for document in self._io.find({"$or": ranges}, {"_id": 1})]
            self.delete(key for key in found if key not in counted.values())

    def swept_until(self) -> ObjectId:
        """The job whose age the sweep of orphans has reached."""
        place: ObjectId = (self._sweeps.find_one({"_id": "job_io"}) or {}).get("until", _BEFORE_ALL)
        return place

    def note_swept(self, until: ObjectId) -> None:
        """The sweep has reached jobs of this age."""
        self._sweeps.update_one({"_id": "job_io"}, {"$max": {"until": until}}, upsert=True)

    def written_between(self, since: ObjectId, until: ObjectId, limit: int) -> list[str]:
        """Keys of documents of jobs whose ids (that is: ages) lie between the two, for the sweep of orphans."""
        query = {"_id": {"$gte": str(since), "$lt": str(until)}}
        return [document["_id"] for document in self._io.find(query, {"_id": 1}).sort("_id", 1).limit(limit)]


def _unpacked(packed: Mapping[str, bytes]) -> dict[str, Any]:
    return {key: from_json(zlib.decompress(text)) for key, text in packed.items()}
