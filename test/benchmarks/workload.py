"""What is measured: the data that it needs, and the tasks of the clients."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, repeat
from typing import Any

from bson import ObjectId
from clients import Calls, Task, encode, head
from floor import FLOOR_PATH, SMALL_DATABASE, SMALL_PATH
from raw import RawChunks
from seed import LINES, Runner, Seeder, chunk_text, job_params, lines_json, log_lines
from servers import Servers

from execution_engine.app import ENGINE_PATH
from execution_engine.jobs.engine import build_engine
from execution_engine.store.database import connect
from execution_engine.store.schema import prepare
from execution_engine.store.tokens import load_cipher

EMPTY = "floor: empty handler"
TOKEN = "floor: empty, token checked (cached)"
PERMISSION = "floor: empty, and a workspace permission (cached)"
FIND = "floor: one find_one"
INSERT = "floor: two inserts, the second journaled"
RAW = "floor: parse 1,000 lines, insert a chunk (no HTTP)"
CHECK_ENDED = "check_job, ended"
CHECK_FIRST = "check_job, ended, not looked at before"
CHECK_RUNNING = "check_job, running"
CHECK_WAITING = "check_job, waiting"
CHECK_SHARED = "check_job, shared by a workspace"
CHECK_100 = "check_jobs of 100"
RUN = "run_job"
ADD_SHORT = "add_job_logs 1,000 lines, new log"
ADD_LONG = "add_job_logs 1,000 lines, log of 1,000,000"
GET_SHORT = "get_logs 1,000 lines of 10,000"
GET_LONG = "get_logs 1,000 lines of 1,000,000"
LIST_SMALL = "list_jobs of 50, 1,000 jobs"
LIST_LARGE = "list_jobs of 50, 100,000 jobs"

GROUPS = (
    (EMPTY, TOKEN, PERMISSION),
    (FIND, CHECK_ENDED, CHECK_RUNNING, CHECK_WAITING, CHECK_SHARED, CHECK_FIRST),
    (CHECK_100,),
    (LIST_SMALL, LIST_LARGE),
    (GET_SHORT, GET_LONG),
    (INSERT, RUN),
    (RAW, ADD_SHORT, ADD_LONG),
)
"""What is compared, and therefore measured in turns."""

MOST_CLIENTS = 16
_JOBS, _SMALL_JOBS = 100_000, 1_000
_LOOKED_UP = 500
_UNSEEN = 30_000
_LONG_LOG, _SHORT_LOG = 1_000_000, 10_000


@dataclass(frozen=True)
class Seeded:
    """Tokens of a job's owner and of somebody who may read its workspace, and the jobs of each kind."""

    alice: str
    bob: str
    wsid: int
    ended: list[ObjectId]
    unseen: list[ObjectId]
    running: list[ObjectId]
    waiting: list[ObjectId]
    shared: list[ObjectId]
    short_log: ObjectId
    long_log: ObjectId
    fresh: list[Runner]
    long: list[Runner]
    lines: list[str]


def fill(servers: Servers, turns: int) -> Seeded:
    """The databases of the engine, of the small engine and of the floor; ``turns``: how often new logs are begun."""
    settings = servers.settings
    tokens = servers.tokens
    cipher = load_cipher(settings.token_key_file)
    seeders = []
    for name in (settings.mongo_database, SMALL_DATABASE, "bench_floor"):
        database = connect(settings.mongo_url, name)
        prepare(database)
        seeders.append(Seeder(build_engine(settings, database, cipher), tokens["alice"]))
    seeder, small, _ = seeders
    small.copies(small.ended(), _SMALL_JOBS)
    small.pretend_dispatcher()
    wsid = seeder.new_workspace(bob="r")
    seeder.pretend_dispatcher()
    lines = log_lines()
    shared = seeder.copies(seeder.ended(wsid), _LOOKED_UP)
    ended = seeder.copies(seeder.ended(), _JOBS - _LOOKED_UP)
    short_log, long_log = ended[0], ended[1]
    seeder.log(short_log, _SHORT_LOG, lines)
    seeder.log(long_log, _LONG_LOG, lines)
    long = [seeder.running() for _ in range(MOST_CLIENTS)]
    for runner in long:
        seeder.log(runner.job_id, _LONG_LOG, ["."] * LINES)
    random.shuffle(ended)
    seeded = Seeded(
        alice=tokens["alice"],
        bob=tokens["bob"],
        wsid=wsid,
        ended=ended[:_LOOKED_UP],
        unseen=ended[_LOOKED_UP : _LOOKED_UP + _UNSEEN],
        running=seeder.copies(seeder.running().job_id, _LOOKED_UP),
        waiting=seeder.copies(seeder.waiting(), _LOOKED_UP),
        shared=shared,
        short_log=short_log,
        long_log=long_log,
        fresh=[seeder.running() for _ in range(turns * MOST_CLIENTS)],
        long=long,
        lines=lines,
    )
    for each in (seeder, small):  # last, so that both lists begin with the same kinds of jobs
        each.first_page()
    for each in seeders:
        each.engine.database.client.close()
    return seeded


def tasks(seeded: Seeded, mongo_url: str) -> dict[str, Task]:
    """Every task by its name."""
    body = lines_json(seeded.lines)
    new_logs, long_logs = _Appends(seeded.fresh, 0, body), _Appends(seeded.long, _LONG_LOG, body)
    page: dict[str, Any] = {"limit": 50}
    return {
        EMPTY: _same(encode(FLOOR_PATH, "Floor.empty", {})),
        TOKEN: _same(encode(FLOOR_PATH, "Floor.empty_for_users", {}, seeded.bob)),
        PERMISSION: _same(encode(FLOOR_PATH, "Floor.empty_for_readers", {"wsid": seeded.wsid}, seeded.bob)),
        FIND: _any([encode(FLOOR_PATH, "Floor.find_one", {"job_id": str(job_id)}) for job_id in seeded.ended]),
        INSERT: _same(encode(FLOOR_PATH, "Floor.insert_two", {"job": job_params(seeded.wsid)})),
        RAW: RawChunks(mongo_url, b'{"lines":%s}' % body, chunk_text(seeded.lines)),
        CHECK_ENDED: _checks(seeded.alice, seeded.ended),
        CHECK_FIRST: _checks(seeded.alice, seeded.unseen),
        CHECK_RUNNING: _checks(seeded.alice, seeded.running),
        CHECK_WAITING: _checks(seeded.alice, seeded.waiting),
        CHECK_SHARED: _checks(seeded.bob, seeded.shared),
        CHECK_100: _any(
            [_engine("check_jobs", {"job_ids": _some(seeded.ended, 100)}, seeded.alice) for _ in range(50)]
        ),
        RUN: _same(_engine("run_job", job_params(seeded.wsid), seeded.alice)),
        ADD_SHORT: Calls(new_logs.anew),
        ADD_LONG: Calls(long_logs.further),
        GET_SHORT: _reads(seeded.alice, seeded.short_log, _SHORT_LOG),
        GET_LONG: _reads(seeded.alice, seeded.long_log, _LONG_LOG),
        LIST_SMALL: _same(encode(SMALL_PATH, "ExecutionEngine.list_jobs", page, seeded.alice)),
        LIST_LARGE: _same(_engine("list_jobs", page, seeded.alice)),
    }


def _engine(method: str, params: Any, token: str) -> bytes:
    return encode(ENGINE_PATH, f"ExecutionEngine.{method}", params, token)


def _same(request: bytes) -> Calls:
    return Calls(lambda _: repeat(request))


def _any(requests: Sequence[bytes]) -> Calls:
    """All of the requests in turn, again and again; each client begins elsewhere and goes on where it ended before."""
    places: dict[int, Iterator[bytes]] = {}

    def continued(client: int) -> Iterator[bytes]:
        if client not in places:
            start = len(requests) * client // MOST_CLIENTS
            places[client] = cycle([*requests[start:], *requests[:start]])
        return places[client]

    return Calls(continued)


def _checks(token: str, job_ids: Sequence[ObjectId]) -> Calls:
    return _any([_engine("check_job", {"job_id": str(job_id)}, token) for job_id in job_ids])


def _reads(token: str, job_id: ObjectId, length: int) -> Calls:
    places = [random.randrange(length - LINES) for _ in range(200)]
    return _any(
        [_engine("get_logs", {"job_id": str(job_id), "skip": place, "limit": LINES}, token) for place in places]
    )


def _some(job_ids: Sequence[ObjectId], count: int) -> list[str]:
    return [str(job_id) for job_id in random.sample(job_ids, count)]


class _Appends:
    """Runners that send the same 1,000 lines again and again, each to the log of its own job."""

    def __init__(self, runners: Sequence[Runner], first_line: int, lines: bytes) -> None:
        self._runners = runners
        self._lines = lines
        self._first_line = first_line
        self._next: dict[int, int] = {}
        self._turn = 0

    def anew(self, client: int) -> Iterator[bytes]:
        """Each time with a job whose log is empty."""
        position = self._next.get(client, client)
        self._next[client] = position + MOST_CLIENTS
        first = self._first_line
        while True:
            yield self._request(self._runners[position], first)
            first += LINES

    def further(self, client: int) -> Iterator[bytes]:
        """Where the client's log ended before."""
        while True:
            first = self._next.get(client, self._first_line)
            # Set before it is sent: what is repeated is dropped, so a request that was not sent costs nothing.
            self._next[client] = first + LINES
            yield self._request(self._runners[client], first)

    def _request(self, runner: Runner, first: int) -> bytes:
        ids = b'"job_id":"%s","attempt":1,"first_line":%d' % (str(runner.job_id).encode(), first)
        params = b'{%s,"lines":%s}' % (ids, self._lines)
        body = b'{"version":"1.1","id":"1","method":"ExecutionEngine.add_job_logs","params":[%s]}' % params
        return head(ENGINE_PATH, runner.credential, len(body)) + body
