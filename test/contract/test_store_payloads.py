import random
import zlib
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from store_databases import opened, pytest_generate_tests

from execution_engine.core.clock import now
from execution_engine.core.json_text import to_json
from execution_engine.store.payloads import PayloadStore, input_document, input_key, output_key

__all__ = ["pytest_generate_tests"]

ODD: Any = {"$where": "1", "a.b": {"": None}, "big": 2**80, "text": "\0 é 🧬", "list": [1.5, True, []]}


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Database[Any]:
    return opened(request)


@pytest.fixture
def store(database: Database[Any]) -> PayloadStore:
    return PayloadStore(database)


def put(store: PayloadStore, *job_ids: ObjectId, token: bytes | None = None) -> None:
    store.put_inputs([input_document(job_id, to_json({"params": str(job_id)}), token, now()) for job_id in job_ids])


def test_any_json_comes_back_as_it_was(store: PayloadStore) -> None:
    job_id = ObjectId()
    store.put_inputs([input_document(job_id, to_json(ODD), None, now())])
    assert store.get(input_key(job_id)) == ODD


def test_payloads_are_compressed(store: PayloadStore, database: Database[Any]) -> None:
    store.put_output("x", to_json(["ACGT" * 10_000]), now())
    document = database.job_io.find_one({"_id": "x"}) or {}
    assert len(document["z"]) < 1_000
    assert zlib.decompress(document["z"]) == to_json(["ACGT" * 10_000])


def test_many_at_once(store: PayloadStore) -> None:
    jobs = [ObjectId() for _ in range(3)]
    put(store, *jobs)
    keys = [input_key(job_id) for job_id in jobs]
    assert store.get_many([keys[2], "unknown", keys[0]]) == {
        keys[0]: {"params": str(jobs[0])},
        keys[2]: {"params": str(jobs[2])},
    }
    assert store.get_many([]) == {}
    assert store.get("unknown") is None


def test_an_output_is_written_once(store: PayloadStore) -> None:
    key = output_key(ObjectId(), 1, "0123456789abcdef0123")
    store.put_output(key, b"[1]", now())
    store.put_output(key, b"[2]", now())
    assert store.get(key) == [1]


def test_each_report_of_each_attempt_has_its_own_place() -> None:
    job_id = ObjectId()
    assert output_key(job_id, 2, "0123456789abcdef0123") == f"{job_id}.out.2.0123456789abcdef"
    assert len({output_key(job_id, attempt, digest * 16) for attempt in (1, 2) for digest in "ab"}) == 4


def test_a_token_is_kept_until_it_is_erased(store: PayloadStore) -> None:
    secret, other, without = ObjectId(), ObjectId(), ObjectId()
    put(store, secret, other, token=b"encrypted")
    put(store, without)
    assert store.get_token(secret) == b"encrypted"
    assert store.get_token(without) is None
    assert store.get_token(ObjectId()) is None
    for _ in range(2):
        store.erase_tokens([secret, without, ObjectId()])
    assert store.get_token(secret) is None
    assert store.get_token(other) == b"encrypted"
    assert store.get(input_key(secret)) == {"params": str(secret)}


def test_documents_can_be_listed_by_age_and_removed(store: PayloadStore) -> None:
    jobs = [ObjectId(f"{n:024x}") for n in range(1, 6)]
    put(store, *jobs)
    key = output_key(jobs[1], 1, "d" * 16)
    store.put_output(key, b"[]", now())
    assert store.written_between(jobs[1], jobs[3], 10) == [input_key(jobs[1]), key, input_key(jobs[2])]
    assert store.written_between(jobs[1], jobs[3], 2) == [input_key(jobs[1]), key]
    store.delete([key, input_key(jobs[2]), "unknown"])
    assert store.written_between(jobs[0], jobs[4], 10) == [input_key(job_id) for job_id in (jobs[0], jobs[1], jobs[3])]


def test_what_was_read_lately_is_at_hand(store: PayloadStore) -> None:
    job_id, large = ObjectId(), ObjectId()
    put(store, job_id)
    noise = random.Random(1).randbytes(100_000).hex()
    store.put_inputs([input_document(large, to_json(noise), None, now())])
    keys = [input_key(job_id), input_key(large)]
    assert store.remembered(keys) == {}
    assert store.get_many(keys).keys() == set(keys)
    assert store.remembered([*keys, "unknown"]) == {keys[0]: {"params": str(job_id)}}
    store.delete([keys[0]])
    assert store.remembered(keys) == {}
