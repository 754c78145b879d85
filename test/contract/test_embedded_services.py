"""The services process on a real mongod, as gunicorn starts it."""

import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from execution_engine.embedded.bootstrap import bootstrap
from execution_engine.embedded.services import DATABASE_NAME, create_app


def test_a_bootstrapped_database_serves_all_three(
    real_kbase_database: Any, mongod_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert real_kbase_database.name == DATABASE_NAME
    for _ in range(2):
        bootstrap(real_kbase_database, tmp_path)
    config = tmp_path / "deploy.cfg"
    config.write_text(f"[execution_engine]\nmongo-url = {mongod_url}\n")
    monkeypatch.setenv("KB_DEPLOYMENT_CONFIG", str(config))
    client = Client(create_app())

    headers = {"Authorization": json.loads((tmp_path / "tokens.json").read_text())["alice"]}
    assert client.get("/services/auth/api/V2/token", headers=headers).json["user"] == "alice"
    call = {"version": "1.1", "id": "1", "method": "Catalog.version", "params": []}
    assert client.post("/services/catalog", json=call).json["result"] == ["2.2.4"]
    call["method"] = "Workspace.ver"
    assert client.post("/services/ws", json=call).status_code == 200
    assert client.get("/elsewhere").status_code == 404
