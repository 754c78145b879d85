"""What operators ask, of an engine whose database they can stop: /healthz, /readyz, status."""

import logging
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pymongo import MongoClient
from store_engine import KBase, make_engine
from werkzeug.test import Client

from execution_engine.api.health import add_health
from execution_engine.api.methods import native_registry
from execution_engine.app import contract
from execution_engine.core.errors import CatalogUnavailable
from execution_engine.embedded.mongod import Mongod, find_mongod
from execution_engine.jobs.wellbeing import Wellbeing
from execution_engine.rpc.wsgi import RpcApplication
from execution_engine.store.database import connect
from execution_engine.store.dependencies import DependencyStore
from execution_engine.store.schema import VERSION
from test.conftest import wait_until

PATH = "/services/ee"


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    mongod = Mongod.in_folder(tmp_path / "mongo", find_mongod())
    process = subprocess.Popen(mongod.command(), stdout=subprocess.DEVNULL)
    process.url = mongod.url  # type: ignore[attr-defined]
    wait_until(mongod.ready, 60, "mongod")
    yield process
    process.kill()
    process.wait()


class Services:
    """Catalog, which answers as long as it is up."""

    up = True

    def ping(self) -> None:
        if not self.up:
            raise CatalogUnavailable


def web_process(url: str, services: Services) -> Client:
    """An engine as one web process has it."""
    engine = make_engine(connect(url, "engine"), KBase())
    wellbeing = Wellbeing(engine, {"catalog": services.ping})
    flask = Flask(__name__)
    add_health(flask, wellbeing)
    return Client(RpcApplication({PATH: native_registry(engine, contract(), wellbeing)}, flask, check_results=True))


def status(client: Client) -> Any:
    answer = client.post(PATH, json={"jsonrpc": "2.0", "id": 1, "method": "status", "params": {}})
    return answer.json["result"]["dependencies"]


def test_a_database_that_stops_answering_is_told_with_its_time_and_comes_back(mongod: Any) -> None:
    client = web_process(mongod.url, Services())
    assert client.get("/readyz").status_code == 200
    before = status(client)["database"]
    assert before["state"] == "up"

    mongod.send_signal(signal.SIGSTOP)
    down = wait_until(lambda: (s := status(client))["database"]["state"] == "down" and s["database"], 60, "down")
    assert down["since"] > before["since"]
    assert status(client)["database"]["since"] == down["since"]
    assert (client.get("/healthz").status_code, client.get("/healthz").json) == (200, {"status": "ok"})
    refused = wait_until(lambda: (a := client.get("/readyz")).status_code == 503 and a, 60, "not ready")
    assert refused.json == {"status": "not ready", "reason": "The database can't be used."}

    mongod.send_signal(signal.SIGCONT)
    up = wait_until(lambda: (s := status(client))["database"]["state"] == "up" and s["database"], 60, "up")
    assert up["since"] >= down["since"]
    assert wait_until(lambda: client.get("/readyz").status_code == 200, 60, "ready")


def test_a_new_database_is_prepared_and_one_of_a_newer_engine_refused(mongod: Any) -> None:
    client = web_process(mongod.url, Services())
    database = MongoClient(mongod.url)["engine"]
    assert client.get("/readyz").status_code == 200
    assert database.schema.find_one({"_id": "version"})["n"] == VERSION

    database.schema.update_one({"_id": "version"}, {"$set": {"n": VERSION + 1}})
    refused = wait_until(lambda: (a := client.get("/readyz")).status_code == 503 and a, 10, "not ready")
    assert f"schema version {VERSION + 1}" in refused.json["reason"]


def test_since_when_a_service_is_down_is_the_same_in_all_processes_and_after_a_restart(mongod: Any) -> None:
    services = Services()
    services.up = False
    first = status(web_process(mongod.url, services))["catalog"]
    assert first["state"] == "down"
    assert first["message"] == CatalogUnavailable().message

    assert status(web_process(mongod.url, services))["catalog"] == first
    services.up = True
    again = status(web_process(mongod.url, services))["catalog"]
    assert (again["state"], again["message"]) == ("up", "answers")
    assert again["since"] >= first["since"]


def test_a_dispatcher_that_never_ran_is_down_since_somebody_looked(mongod: Any) -> None:
    client = web_process(mongod.url, Services())
    found = status(client)["dispatcher"]
    assert found["state"] == "down"
    assert wait_until(lambda: status(client)["dispatcher"]["since"] == found["since"], 5, "the same time")


def test_a_change_is_in_the_log(mongod: Any, caplog: pytest.LogCaptureFixture) -> None:
    services = Services()
    services.up = False
    with caplog.at_level(logging.WARNING):
        status(web_process(mongod.url, services))
    assert "catalog is down" in caplog.messages


def test_a_time_once_noted_stays_until_the_state_changes(real_database: Any) -> None:
    store = DependencyStore(real_database)
    first, second, third = (datetime(2026, 5, day, tzinfo=UTC) for day in (1, 2, 3))
    assert store.note("auth", "down", first) == first
    assert store.note("auth", "down", second) == first
    assert store.note("auth", "up", third) == third
    assert store.note("auth", "up", second) == third
