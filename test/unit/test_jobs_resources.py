import datetime as dt
from typing import Any

import pytest
from store_engine import begin, hand_out, make_engine, person, submit

from execution_engine.backends.base import GroupResources, Resources
from execution_engine.config import BackendSettings, ClientGroupSettings
from execution_engine.core.clock import now
from execution_engine.dispatch.desk import Desk
from execution_engine.jobs.draining import set_backend_state
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.resources import backend_resources, group_resources
from execution_engine.jobs.usage import usage

ROOT = person("root", Admin.FULL)
PART = GroupResources("bigmem", nodes_total=4, nodes_usable=0, cpus_total=64, cpus_used=0, reason="All nodes are down.")


def report(engine: Engine, name: str, resources: Resources) -> None:
    """As the dispatcher writes it."""
    backend: Any = type("Told", (), {"name": name, "notice": "a notice", "resources": lambda _: resources})()
    Desk(backend, engine.backends).report()


@pytest.fixture
def two(mock_database: Any, kbase: Any) -> Engine:
    """A machine, and a cluster with a part for large jobs."""
    backends = {name: BackendSettings(name, kind, {}) for name, kind in (("local", "local"), ("hpc", "slurm"))}
    groups = {
        "local": ClientGroupSettings("local", ("local", "hpc")),
        "bigmem": ClientGroupSettings("bigmem", ("hpc",)),
    }
    engine = make_engine(mock_database, kbase, backends=backends, client_groups=groups)
    report(engine, "local", Resources(8, 2, 1_000, 256, 8, 2, 2, 1))
    report(engine, "hpc", Resources(128, 100, 4_000, 4_000, None, None, 50, 70, (PART,)))
    return engine


def test_what_each_backend_has(two: Engine) -> None:
    ran = submit(two)
    begin(two, ran, hand_out(two, ran))
    hand_out(two, submit(two, client_group="bigmem"), "hpc")
    local, hpc = backend_resources(two)
    assert (local["backend"], local["kind"], local["state"], local["notice"]) == ("local", "local", "up", "a notice")
    assert local["capacity"] == {
        "cpus_total": 8,
        "cpus_used": 2,
        "cpus_free": 6,
        "memory_mb_total": 1_000,
        "memory_mb_used": 256,
        "memory_mb_free": 744,
        "slots_total": 8,
        "slots_used": 2,
        "slots_free": 6,
    }
    assert (local["running"], local["inside"], local["all_running"], local["all_waiting"]) == (1, 0, 2, 1)
    assert local["parts"] == [{"client_group": "local", "running": 1, "inside": 0}]
    assert hpc["parts"] == [
        {
            "client_group": "bigmem",
            "running": 0,
            "inside": 1,
            "blocked": "All nodes are down.",
            "capacity": {
                "cpus_total": 64,
                "cpus_used": 0,
                "cpus_free": 64,
                "nodes_total": 4,
                "nodes_usable": 0,
            },
        }
    ]
    assert local["reported"] >= local["since"]


def test_what_serves_each_group_and_what_waits_there(two: Engine) -> None:
    submit(two)
    local, bigmem = group_resources(two)
    assert (local["state"], local["backends"], local["waiting"]) == ("up", ["local", "hpc"], 1)
    assert (local["capacity"]["cpus_total"], local["capacity"]["cpus_free"]) == (136, 34)
    assert now() - local["oldest"] < dt.timedelta(minutes=1)
    assert (bigmem["capacity"]["nodes_usable"], bigmem["waiting"]) == (0, 0)
    assert "oldest" not in bigmem


def test_a_group_whose_backends_take_no_jobs(two: Engine) -> None:
    set_backend_state(two, ROOT, "hpc", "draining", "new disks")
    local, bigmem = group_resources(two)
    assert (local["state"], bigmem["state"], bigmem["closed"]["code"]) == ("up", "draining", "backend_draining")
    two.backends.report("hpc", now(), "down", "no power", {}, "")
    vars(two).pop("queues")  # what was seen a moment ago
    bigmem = group_resources(two)[1]
    assert (bigmem["state"], bigmem["capacity"]) == ("down", {})
    hpc = backend_resources(two)[1]
    assert (hpc["state"], hpc["message"]) == ("down", "no power")


def test_a_backend_that_was_never_reported(engine: Engine) -> None:
    (local,) = backend_resources(engine)
    assert (local["state"], local["capacity"], local["parts"]) == ("down", {}, [])
    assert "since" not in local


def test_who_has_what(two: Engine) -> None:
    for _ in range(2):
        submit(two)
    ran = submit(two, "bob", client_group="bigmem")
    begin(two, ran, hand_out(two, ran, "hpc"))
    assert usage(two) == [
        {"client_group": "local", "user": "alice", "waiting": 2, "held": 0, "inside": 0, "running": 0},
        {"client_group": "bigmem", "user": "bob", "waiting": 0, "held": 0, "inside": 0, "running": 1},
    ]
