import json
from typing import Any

import pytest

from execution_engine.cli.screen import local_time
from test.unit import test_cli_commands as commands
from test.unit.test_cli_commands import DONE, JOB, Cli, FakeEngine

cli, engine = commands.cli, commands.engine  # the fixtures

SOON = 1_780_000_000_000
FORECAST = {"earliest": SOON, "median": SOON + 60_000, "latest": SOON + 120_000, "observed": 30}
PLACE = {"position": 12, "inside_ahead": 8, "users_ahead": 1, "own_ahead": 3, "forecast": FORECAST}
FIRST = {
    "position": 1,
    "inside_ahead": 0,
    "users_ahead": 0,
    "own_ahead": 0,
    "no_forecast": "Too few jobs have started from such a place lately: 7 of the 20 needed.",
}
QUEUE: dict[str, Any] = {
    "client_group": "local",
    "waiting": 10_000,
    "inside": 8,
    "running": 8,
    "users": 2,
    "oldest": SOON,
    "mine": [{"job_id": JOB, "place": PLACE}],
    "next": FIRST,
}
ALICE = {"user": "alice", "waiting": 9_000, "held": 4, "inside": 8, "running": 8}


def test_the_queue_of_a_group(cli: Cli, engine: FakeEngine) -> None:
    engine.answers = {"get_queue": QUEUE}
    out = cli("queue", "local").out
    assert "local: 10,000 waiting for their turn, 8 waiting inside backends, 8 running; the oldest waits since" in out
    assert JOB in out
    assert f"starts about {local_time(SOON + 60_000)} (four of five between {local_time(SOON)} and" in out
    assert "submitted now: position 1; Too few jobs have started from such a place lately: 7 of the 20 needed." in out
    assert json.loads(cli("queue", "--json").out) == QUEUE
    assert [params for _, params in engine.requests] == [{"client_group": "local"}, {}]


def test_administrators_see_everybody_and_why_nothing_starts(cli: Cli, engine: FakeEngine) -> None:
    closed = {"code": "backend_draining", "message": "The backend local takes no new jobs."}
    engine.answers = {"get_queue": QUEUE | {"people": [ALICE], "closed": closed, "mine": []}}
    done = cli("queue")
    assert "alice" in done.out
    assert "9,000" in done.out
    assert "takes no new jobs" in done.err


def test_a_waiting_job_shows_its_place(cli: Cli, engine: FakeEngine) -> None:
    waiting = {key: value for key, value in DONE.items() if key not in ("running", "finished", "output")}
    engine.answers = {"check_job": waiting | {"status": "created", "queue": PLACE}}
    out = " ".join(cli("show", JOB).out.split())
    assert "position 12 (ahead: 8 of them inside the backend, 3 of your own, jobs of 1 other user)" in out


GROUP = {
    "client_group": "local",
    "backends": ["local"],
    "state": "draining",
    "waiting": 3,
    "inside": 0,
    "running": 2,
    "capacity": {
        "slots_total": 8,
        "slots_used": 2,
        "slots_free": 6,
        "cpus_total": 8,
        "cpus_used": 2,
        "cpus_free": 6,
        "nodes_total": 4,
        "nodes_usable": 3,
    },
    "closed": {"code": "backend_draining", "message": "The backend local takes no new jobs."},
}
BACKEND = {
    "backend": "local",
    "kind": "local",
    "state": "draining",
    "message": "by root: new disks",
    "since": SOON,
    "capacity": {},
    "running": 2,
    "inside": 0,
    "parts": [{"client_group": "local", "running": 2, "inside": 0, "blocked": "All nodes are down."}],
}


def test_resources_in_short_and_for_administrators(cli: Cli, engine: FakeEngine) -> None:
    engine.answers = {"get_resources": {"groups": [GROUP]}}
    done = cli("resources")
    assert "6 of 8 slots, 6 of 8 cores, 3 of 4 nodes up" in done.out
    assert "takes no new jobs" in done.err
    assert "Backend" not in done.out
    engine.answers = {"get_resources": {"groups": [GROUP], "backends": [BACKEND]}}
    out = cli("resources").out
    for part in ("local (local)", "by root: new disks", local_time(SOON), "for local", "All nodes are down."):
        assert part in out
    assert json.loads(cli("resources", "--json").out)["backends"] == [BACKEND]


@pytest.mark.parametrize(
    "answer",
    [{"mine": [{"client_group": "local", **ALICE}]}, {"mine": [], "people": [{"client_group": "local", **ALICE}]}],
)
def test_usage(cli: Cli, engine: FakeEngine, answer: Any) -> None:
    engine.answers = {"get_usage": answer}
    out = cli("usage").out
    for part in ("local", "alice", "9,000", "4", "8"):
        assert part in out
    assert json.loads(cli("usage", "--json").out) == answer


def test_drain_and_resume(cli: Cli, engine: FakeEngine) -> None:
    drained = {"backend": "local", "state": "draining", "since": SOON, "by": "root", "reason": "new disks"}
    engine.answers = {"set_backend_state": drained}
    out = cli("drain", "local", "--reason", "new disks").out
    assert out == f"local takes no new jobs since {local_time(SOON)}, by root: new disks\n"
    engine.answers = {"set_backend_state": {"backend": "local", "state": "up"}}
    assert cli("resume", "local").out == "local takes jobs\n"
    assert json.loads(cli("resume", "local", "--reason", "done", "--json").out)["state"] == "up"
    assert [params for _, params in engine.requests] == [
        {"backend": "local", "state": "draining", "reason": "new disks"},
        {"backend": "local", "state": "up"},
        {"backend": "local", "state": "up", "reason": "done"},
    ]


def test_draining_needs_a_reason(cli: Cli) -> None:
    assert "--reason" in cli("drain", "local").err
