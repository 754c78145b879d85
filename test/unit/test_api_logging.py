import json
import logging
from typing import Any

import pytest
from store_engine import METHOD, submit
from werkzeug.test import Client

from execution_engine.api.methods import native_registry
from execution_engine.app import contract
from execution_engine.core.logs import JsonLines
from execution_engine.jobs.engine import Engine
from execution_engine.rpc.wsgi import RpcApplication

PATH = "/services/ee"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the engine writes from here on, read back."""
    written: list[dict[str, Any]] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(json.loads(self.format(record)))

    handler = Kept()
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("execution_engine")
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "level", logging.INFO)
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    return written


def call(engine: Engine, method: str, params: Any, token: str = "alice-token") -> str:  # noqa: S107 - made up
    """One call; its request id."""
    client = Client(RpcApplication({PATH: native_registry(engine, contract())}, lambda _, __: []))
    headers = {"Authorization": token}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return str(client.post(PATH, json=message, headers=headers).headers["X-Request-Id"])


def test_a_call_is_one_line_with_who_what_and_how_long(engine: Engine, lines: list[dict[str, Any]]) -> None:
    job_id = str(submit(engine))
    request_id = call(engine, "check_job", {"job_id": job_id})
    (line,) = lines
    assert line.pop("ms") > 0
    assert line.pop("time")
    assert line.pop("message").startswith("check_job ok ")
    assert line == {
        "level": "INFO",
        "logger": "execution_engine.rpc",
        "request_id": request_id,
        "user": "alice",
        "job": job_id,
        "method": "check_job",
        "outcome": "ok",
    }


def test_a_submission_is_a_line_with_the_new_id(engine: Engine, lines: list[dict[str, Any]]) -> None:
    call(engine, "run_job", {"method": METHOD})
    call(engine, "run_jobs", {"jobs": [{"method": METHOD}]})
    made = [str(record["_id"]) for name in ("jobs", "batches") for record in engine.database[name].find()]
    job_id, batch_id = made[0], made[-1]
    assert [(line["method"], line["job"]) for line in lines] == [("run_job", job_id), ("run_jobs", batch_id)]


def test_a_refused_call_says_why_and_names_nobody_who_is_not_known(engine: Engine, lines: list[dict[str, Any]]) -> None:
    call(engine, "check_job", {"job_id": "0" * 24}, "bob-token")
    call(engine, "check_job", {"job_id": "0" * 24}, "wrong")
    assert [(line["outcome"], line.get("user"), line.get("job")) for line in lines] == [
        ("job_not_found", "bob", "0" * 24),
        ("token_invalid", None, None),
    ]


def test_a_token_is_never_written(engine: Engine, lines: list[dict[str, Any]]) -> None:
    for token in ("alice-token", "wrong-secret"):
        call(engine, "run_job", {"method": "nothing.nowhere", "params": [token]}, token)
    text = json.dumps(lines)
    assert "alice-token" not in text
    assert "wrong-secret" not in text
