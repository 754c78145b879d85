"""Requests made from the contract and broken, through the whole application on a real mongod: decent answers to all.

EE_HOSTILE_REQUESTS says how many; `make test-nightly` sends 100,000. pytest's summary prints the numbers.
"""

import io
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from bson import ObjectId
from hostile_requests import Known, broken, junk, parameters
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.monitoring import CommandListener
from pymongo.write_concern import WriteConcern
from store_engine import METHOD, RUNNER, KBase, finish, hand_out, make_engine, running, submit

from execution_engine.app import application, contract
from execution_engine.core.errors import all_errors
from execution_engine.jobs.engine import Engine
from execution_engine.rpc.kidl import parse
from execution_engine.rpc.model import Function
from execution_engine.store.database import CODEC
from execution_engine.store.schema import prepare

PATH = "/services/ee"
REQUESTS = int(os.environ.get("EE_HOSTILE_REQUESTS", "5000"))
FUNCTIONS = list(parse(contract()).functions.values())
RUNNERS = {"start_job", "get_job_params", "add_job_logs", "heartbeat", "finish_job"}
REASONS = {error.reason: error for error in all_errors()}
MIB = 1024 * 1024
# What a client must never be able to bring into a query.
CODE_IN_QUERIES = ("$where", "$function", "$accumulator", "mapReduce")
BOUNDED_BY = {"_id", "job", "key", "batch_id", "idempotency.key", "schema"}
SMALL = {"backends", "backend_orders", "leases", "schema", "dependencies", "limits", "routes"}
# Counts of what waits and of what is in flight, each of its index alone: one look serves everybody, and takes a
# twentieth of the time at most (ADR 16).
SHARED_LOOKS = {"waiting", "active"}


class Commands(CommandListener):
    """What the engine asks the database for; a complaint for each read that no bound holds."""

    def __init__(self) -> None:
        self.count = 0
        self.complaints: list[str] = []

    def started(self, event: Any) -> None:
        self.count += 1
        text = str(event.command)[:100_000]
        if any(f"'{word}'" in text for word in CODE_IN_QUERIES):
            self.complaints.append(text[:500])
        if event.command_name in ("find", "aggregate") and not _bounded(event.command):
            self.complaints.append(text[:500])

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


def _bounded(command: Mapping[str, Any]) -> bool:
    if "pipeline" in command:
        stages = command["pipeline"]
        if command.get("hint") in SHARED_LOOKS or any("$limit" in stage for stage in stages):
            return True
        return not BOUNDED_BY.isdisjoint(stages[0].get("$match", {}))
    if command.get("limit") or command.get("singleBatch") or command["find"] in SMALL:
        return True
    return not BOUNDED_BY.isdisjoint(command.get("filter", {}))


class Engines:
    """An engine with jobs to ask for, and how to send it bytes."""

    def __init__(self, engine: Engine) -> None:
        self.application = application(engine, pings={}, check_results=True)
        own = [submit(engine, "alice") for _ in range(3)]
        shared = submit(engine, "carol", wsid=7)
        self.running, self.credential = running(engine, "alice")
        ended, credential = running(engine, "alice")
        finish(engine, ended, credential)
        waiting = submit(engine, "alice")
        self.ticket = hand_out(engine, waiting)
        self._requests: dict[str, st.SearchStrategy[tuple[bytes, str]]] = {}
        job_ids = [str(i) for i in (*own, shared, self.running, ended, waiting, ObjectId())]
        self.known: Known = {
            "job_id": st.sampled_from(job_ids),
            "method_name": st.just(METHOD),
            "wsid": st.just(7),
            "attempt_number": st.just(1),
            "runner_id": st.just(RUNNER),
            "client_group": st.sampled_from(["local", "bigmem"]),
            "user_name": st.sampled_from(["alice", "bob", "carol"]),
            "service_ver": st.just("release"),
        }

    def requests(self, function: Function) -> st.SearchStrategy[tuple[bytes, str]]:
        """Bodies and tokens: calls of one method, mostly broken, alone or several at once, and what is no call."""
        if function.name not in self._requests:
            good = parameters(function, self.known)
            call = st.builds(message, st.just(function), st.one_of(broken(good), broken(good), good), st.integers(0, 5))
            alone = call.map(_encode)
            together = st.lists(call, max_size=3).flatmap(lambda calls: junk().map(lambda it: _encode([*calls, it])))
            noise = st.tuples(call, st.binary(max_size=30), st.integers(0, 200)).map(_damaged)
            body = st.integers(0, 11).flatmap(lambda n: {0: together, 1: noise, 2: junk().map(_encode)}.get(n, alone))
            own = {"start_job": self.ticket}.get(function.name, self.credential)
            usual = own if function.name in RUNNERS else "alice-token"
            tokens = st.sampled_from([usual] * 9 + ["alice-token", self.credential, "nobody", ""])
            self._requests[function.name] = st.tuples(body, tokens)
        return self._requests[function.name]

    def post(self, body: bytes, token: str = "alice-token") -> tuple[str, dict[str, str], bytes]:  # noqa: S107 - made up
        """Status, headers and body of the answer."""
        begun: list[Any] = []
        environ = {
            "PATH_INFO": PATH,
            "REQUEST_METHOD": "POST",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_AUTHORIZATION": token,
            "wsgi.input": io.BytesIO(body),
        }
        chunks = self.application(environ, lambda *answer: begun.append(answer))
        ((status, headers),) = begun
        return status, dict(headers), b"".join(chunks)


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
def target(mongod_url: str, commands: Commands) -> Iterator[Engines]:
    """An engine on a database of its own, unjournaled: nothing here is about crashes."""
    client: MongoClient[dict[str, Any]] = MongoClient(mongod_url, event_listeners=[commands])
    name = f"hostile_{ObjectId()}"
    database = client.get_database(name, codec_options=CODEC, write_concern=WriteConcern(w=1))
    prepare(database)
    kbase = KBase(workspaces={7: {"alice": "w", "bob": "r", "carol": "a"}})
    yield Engines(make_engine(database, kbase, max_batch_jobs=20))
    client.drop_database(name)
    client.close()


def check(status: str, headers: dict[str, str], body: bytes, numbers: Any) -> None:
    """An answer in the form of its version; no failure of ours, no stack trace, no page."""
    assert headers["Content-Type"] == "application/json"
    assert b"Traceback" not in body
    if status.startswith("204"):
        assert body == b""
        numbers["no answer"] += 1
        return
    answer = json.loads(body)
    for one in answer if isinstance(answer, list) else [answer]:
        if "error" not in one:
            assert status.startswith("200")
            numbers["ok"] += 1
            continue
        error = one["error"]
        details = error.get("data") or json.loads(error.get("error") or "{}")
        reason = details.get("reason") or next(r for r, e in REASONS.items() if e.code == error["code"])
        assert reason != "internal_error", one
        assert REASONS[reason].code == error["code"]
        assert len(error["message"]) < 2000
        assert status.startswith("200" if "jsonrpc" in one else "500")
        numbers[reason] += 1


def message(function: Function, params: Any, form: int) -> dict[str, Any]:
    version = [{"version": "1.1"}, {"jsonrpc": "2.0"}, {}][form % 3]
    return {
        **version,
        "id": 1,
        "method": f"ExecutionEngine.{function.name}",
        "params": [params] if form % 2 else params,
    }


# The driver's own threads draw random numbers meanwhile, which hypothesis takes for ours.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
def test_every_request_gets_a_decent_answer(target: Engines, commands: Commands, hostile_numbers: Any) -> None:
    requests = st.sampled_from(FUNCTIONS).flatmap(target.requests)

    @settings(
        max_examples=REQUESTS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(requests)
    def send(request: tuple[bytes, str]) -> None:
        hostile_numbers["requests"] += 1
        commands.complaints.clear()
        check(*target.post(*request), hostile_numbers)
        assert commands.complaints == []

    send()
    hostile_numbers["database commands"] += commands.count


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def _damaged(damage: tuple[Any, bytes, int]) -> bytes:
    value, noise, place = damage
    body = _encode(value)
    return body[:place] + noise + body[place + len(noise) // 2 :]


HUGE = {
    "fifty megabytes of nothing": b" " * (50 * MIB),
    "fifty megabytes of numbers": b'{"method":"run_jobs","params":[{"jobs":[' + b"0," * (25 * MIB) + b"0]}]}",
    "as many small jobs as a body holds": b'{"method":"run_jobs","params":[{"jobs":['
    + b'{"method":"a.b"},' * 1_900_000,
    "a batch of a million calls": b"[" + b'{"jsonrpc":"2.0"},' * 200_000 + b"{}]",
    "a hundred and one calls": json.dumps([{"jsonrpc": "2.0", "id": 1, "method": "ver"}] * 101).encode(),
    "the largest name": _encode({"method": "x" * (3 * MIB), "params": []}),
    "the largest key": _encode({"method": "run_job", "params": [{"x" * (3 * MIB): 1}]}),
    "the largest field": _encode(
        {"method": "check_job", "params": [{"job_id": "0" * 24, "fields": ["x" * (3 * MIB)]}]}
    ),
    "the largest id": _encode({"method": "ver", "id": "x" * (3 * MIB)}),
    "a number of a million digits": b'{"method":"run_job","params":[{"wsid":' + b"9" * MIB + b"}]}",
    "a number beyond all doubles": b'{"method":"run_job","params":[{"wsid":1e999999}]}',
    "a thousand operators": _encode({"method": "check_job", "params": [{"job_id": {"$ne": 1, "$where": "1"}}]}),
    "a list of a million states": _encode({"method": "list_jobs", "params": [{"status": ["created"] * 300_000}]}),
    "a million objects": _encode(
        {"method": "run_job", "params": [{"method": METHOD, "source_ws_objects": ["1/2"] * 10**5}]}
    ),
    "depth": b"[" * (3 * MIB),
    "a million surrogates": b'{"method":"run_job","params":[{"method":"%s","params":["%s"]}]}'
    % (METHOD.encode(), b"\\ud800" * 500_000),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_request_gets_a_decent_answer(target: Engines, commands: Commands, name: str) -> None:
    numbers: Any = dict.fromkeys(["ok", *REASONS], 0)
    status, headers, body = target.post(HUGE[name])
    check(status, headers, body, numbers)
    assert commands.complaints == []
    assert len(body) < 4 * MIB


@pytest.mark.parametrize("name", ["a.b", "$where", "a\0b", "\ud800", "", "$", "a.$b"])
def test_odd_keys_of_parameters_are_kept_as_they_are_or_refused(target: Engines, name: str) -> None:
    request = {"method": "run_job", "params": [{"method": METHOD, "params": [{name: {name: 1}}]}]}
    answer = json.loads(target.post(_encode(request))[2])
    if "error" in answer:
        assert answer["error"]["code"] == -32602
        return
    checked = target.post(_encode({"method": "check_job", "params": [{"job_id": answer["result"][0]}]}))[2]
    assert json.loads(checked)["result"][0]["params"] == [{name: {name: 1}}]
