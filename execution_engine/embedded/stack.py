"""What `execution-engine up` runs for a data folder: mongod, the services process, the web server, the dispatcher."""

import http.client
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import unquote, urlsplit

import pymongo
from pymongo.errors import PyMongoError

from execution_engine import programs
from execution_engine.core.errors import ConfigurationError
from execution_engine.embedded.bootstrap import bootstrap
from execution_engine.embedded.folder import ENDPOINTS_NAME
from execution_engine.embedded.plan import ENGINE_PATH, SERVICE_PATHS, Plan
from execution_engine.embedded.ports import LOOPBACK, reachable_name
from execution_engine.embedded.processes import Child
from execution_engine.embedded.services import DATABASE_NAME
from execution_engine.embedded.supervisor import Supervisor

DISPATCHER = "dispatcher"


def start_stack(plan: Plan, supervisor: Supervisor, step: Callable[[str], AbstractContextManager[None]]) -> None:
    """Starts everything in order; users, tokens, example apps and endpoints.json are there afterwards.

    ``step`` wraps the start of each part and gets its name.

    Raises:
        StartFailed: a process did not become ready.
        StopRequested: a signal came meanwhile.
        ConfigurationError: the user's own database can't be used.
    """
    with step("database"):
        if plan.mongod:
            supervisor.start(Child("mongod", plan.mongod.command(), plan.mongod.ready, stop_seconds=20))
        _prepare_database(plan)
    if plan.settings.embedded_services:
        with step("Auth2, Workspace, Catalog"):
            supervisor.start(_services(plan))
    with step("web server"):
        supervisor.start(_web(plan))
    with step("dispatcher"):
        supervisor.start(_child(plan, DISPATCHER, programs.dispatcher(), lambda: _dispatcher_runs(plan)))
    (plan.folder / ENDPOINTS_NAME).write_text(json.dumps(endpoints(plan), indent=2) + "\n")


def _prepare_database(plan: Plan) -> None:
    """What the embedded services start from; also the first use of a database that is not ours."""
    with pymongo.MongoClient[dict[str, Any]](plan.settings.mongo_url, serverSelectionTimeoutMS=5000) as client:
        try:
            client.admin.command("ping")
        except PyMongoError as error:
            nodes = unquote(urlsplit(plan.settings.mongo_url).netloc.rpartition("@")[2])
            raise ConfigurationError(f"The MongoDB that mongo-url names ({nodes}) can't be used: {error}") from error
        if plan.settings.embedded_services:
            bootstrap(client[DATABASE_NAME], plan.folder)


def endpoints(plan: Plan) -> dict[str, str]:
    """Where clients find what, by name."""
    settings = plan.settings
    found = {"execution_engine": settings.external_url}
    if settings.embedded_services:
        base = settings.external_url.removesuffix(ENGINE_PATH)
        found |= {name: base + path for name, path in SERVICE_PATHS.items()}
    else:
        found |= {"auth": settings.auth_url, "workspace": settings.workspace_url, "catalog": settings.catalog_url}
    return found | {"mongo": settings.mongo_url}


def _services(plan: Plan) -> Child:
    # On a port of its own: were the engine's own calls to come in at the web server, enough requests at once
    # would hold all of its threads while each waits for a free one.
    bind = f"{LOOPBACK}:{plan.services_port}"
    options = ("--bind", bind, "--workers", "1", "--threads", "16")
    command = programs.gunicorn("execution_engine.embedded.services", *options)
    path = SERVICE_PATHS["auth"] + "/"
    return _child(plan, "services", command, lambda: _answer(LOOPBACK, plan.services_port, "GET", path) is not None)


def _web(plan: Plan) -> Child:
    return _child(plan, "web", programs.web(), lambda: _status(plan) is not None)


def _dispatcher_runs(plan: Plan) -> bool:
    """Whether the engine itself says so."""
    status = json.loads(_status(plan) or b"{}").get("result", {})
    return bool(status.get("dependencies", {}).get(DISPATCHER, {}).get("state") == "up")


def _status(plan: Plan) -> bytes | None:
    ask = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ExecutionEngine.status", "params": {}})
    return _answer(reachable_name(plan.settings.host), plan.settings.port, "POST", ENGINE_PATH, ask)


def _child(plan: Plan, name: str, command: list[str], ready: Callable[[], bool]) -> Child:
    environment = {"KB_DEPLOYMENT_CONFIG": str(plan.config_file), "PYTHONUNBUFFERED": "1"}
    return Child(name, command, ready, environment)


def _answer(host: str, port: int, method: str, path: str, body: str | None = None) -> bytes | None:
    """What an HTTP server answers there; None if there is none, or one that fails."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.read() if response.status < 500 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
