"""The floor: the least that a call could do, beside the engine, in the very same processes.

``create_app`` serves the engine itself, the floor's methods at /floor, and at /small the engine on a second
database, which holds 1,000 jobs.
"""

import os
from functools import cache

from bson import ObjectId
from pymongo.write_concern import WriteConcern

import execution_engine.app as engine_app
from execution_engine.api.callers import Rules
from execution_engine.api.methods import native_registry
from execution_engine.api.views import with_ms
from execution_engine.config import load
from execution_engine.jobs.access import require_read_workspaces
from execution_engine.jobs.engine import build_engine
from execution_engine.jobs.identity import User
from execution_engine.rpc.kidl import parse
from execution_engine.rpc.registry import Access, Policy, Registry
from execution_engine.rpc.voices import NativeVoice
from execution_engine.rpc.wsgi import RpcApplication, WsgiApplication
from execution_engine.store.database import Document, connect
from execution_engine.store.payloads import input_key
from execution_engine.store.tokens import load_cipher

FLOOR_PATH = "/floor"
FLOOR_DATABASE = "bench_floor"
SMALL_PATH = "/small"
SMALL_DATABASE = "bench_small"
SHOWN = ("user", "method", "status", "service_ver", "client_group", "requirements", "created", "updated", "finished")
SPEC = """
module Floor {
  typedef structure { string job_id; } find_params;
  typedef structure { UnspecifiedObject job; } insert_params;
  typedef structure { int wsid; } workspace_params;
  funcdef empty() returns (string process) authentication none;
  funcdef empty_for_users() returns (string process) authentication required;
  funcdef empty_for_readers(workspace_params params) returns (string process) authentication required;
  funcdef find_one(find_params params) returns (UnspecifiedObject job) authentication none;
  funcdef insert_two(insert_params params) returns (string id) authentication none;
};
"""


def create_app() -> WsgiApplication:
    """What gunicorn serves while it is measured."""
    settings = load()
    small = build_engine(settings, connect(settings.mongo_url, SMALL_DATABASE), load_cipher(settings.token_key_file))
    mounts = {FLOOR_PATH: _floor(), SMALL_PATH: native_registry(small, engine_app.contract())}
    return RpcApplication(mounts, engine_app.create_app())


def _floor() -> Registry:
    settings = load()
    database = connect(settings.mongo_url, settings.mongo_database)
    engine = build_engine(settings, database, load_cipher(settings.token_key_file))
    jobs = database.jobs
    scratch = connect(settings.mongo_url, FLOOR_DATABASE)
    first = scratch.get_collection("job_io", write_concern=WriteConcern(w=1, j=False))
    second = scratch.jobs

    @cache
    def example() -> tuple[Document, Document]:
        """The two documents of a submission, as the engine writes them."""
        job = jobs.find_one({"status": "created"}) or {}
        return job, jobs.database.job_io.find_one({"_id": input_key(job["_id"])}) or {}

    def empty(_: None, __: Document) -> str:
        return str(os.getpid())

    def empty_for_users(_: User, __: Document) -> str:
        return str(os.getpid())

    def empty_for_readers(user: User, params: Document) -> str:
        require_read_workspaces(engine, user, [params["wsid"]])
        return str(os.getpid())

    def find_one(_: None, params: Document) -> Document:
        job = jobs.find_one({"_id": ObjectId(params["job_id"])}) or {}
        return with_ms({name: job[name] for name in SHOWN})

    def insert_two(_: None, __: Document) -> str:
        job, payload = example()
        job_id = ObjectId()
        first.insert_one(payload | {"_id": input_key(job_id)})
        second.insert_one(job | {"_id": job_id})
        return str(job_id)

    anyone = Access("anyone", "Everybody.", lambda _: None, "none")
    registry = Registry(parse(SPEC, source="floor.spec"), Policy(unknown_keys="refuse"), NativeVoice())
    for name, handler in (("empty", empty), ("find_one", find_one), ("insert_two", insert_two)):
        registry.add(name, handler, anyone)
    for name, for_user in (("empty_for_users", empty_for_users), ("empty_for_readers", empty_for_readers)):
        registry.add(name, for_user, Rules(engine).user)
    return registry
