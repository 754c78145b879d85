"""The web application: the RPC paths in front, Flask behind them, the embedded services beside."""

import logging
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from flask import Flask, Response, jsonify
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from execution_engine import __version__
from execution_engine.api.health import add_health
from execution_engine.api.methods import native_registry
from execution_engine.config import Settings, load
from execution_engine.core.errors import DatabaseUnavailable, EngineError
from execution_engine.core.logs import configure_logging
from execution_engine.embedded.services import DATABASE_NAME as EMBEDDED_DATABASE
from execution_engine.embedded.services import mount
from execution_engine.jobs.engine import Engine, build_engine
from execution_engine.jobs.wellbeing import Wellbeing, service_pings
from execution_engine.rpc.limits import Limits
from execution_engine.rpc.protection import Protected
from execution_engine.rpc.wsgi import RpcApplication, WsgiApplication
from execution_engine.source import git_commit
from execution_engine.store.database import UNREACHABLE, connect
from execution_engine.store.schema import prepare
from execution_engine.store.tokens import load_cipher

ENGINE_PATH = "/services/ee"
_log = logging.getLogger("execution_engine.app")


def create_app() -> WsgiApplication:
    """The application of one web process, from deploy.cfg. Call it after a fork.

    Raises:
        ConfigurationError: a setting is wrong, or the database was written by a newer engine.
    """
    settings = load()
    configure_logging(settings.log_level)
    database = connect(settings.mongo_url, settings.mongo_database)
    engine = build_engine(settings, database, load_cipher(settings.token_key_file))
    try:
        prepare(database)
    except PyMongoError:
        # The service can still say that the database is down, and works as soon as it is back.
        _log.exception("the database could not be prepared")
    return application(engine)


def application(
    engine: Engine, *, pings: Mapping[str, Callable[[], None]] | None = None, check_results: bool = False
) -> WsgiApplication:
    """The application around an engine.

    ``pings``: how to ask services whether they are up, by name; default: those of the settings. ``check_results`` holds
    results against the contract, for tests.
    """
    settings = engine.settings
    limits = Limits(
        body=settings.max_body_bytes,
        large_body=settings.max_large_body_bytes,
        read_seconds=settings.request_deadline_seconds,
    )
    wellbeing = Wellbeing(engine, service_pings(settings) if pings is None else pings)
    registry = native_registry(engine, contract(), wellbeing, git_commit())
    return RpcApplication(
        {ENGINE_PATH: registry},
        _pages(settings, engine, wellbeing),
        limits,
        translate=_translate,
        check_results=check_results,
    )


def contract() -> str:
    """The text of spec/ExecutionEngine.spec."""
    return resources.files("execution_engine").joinpath("spec/ExecutionEngine.spec").read_text(encoding="utf-8")


def _translate(error: Exception) -> EngineError | None:
    return DatabaseUnavailable() if isinstance(error, UNREACHABLE) else None


def _pages(settings: Settings, engine: Engine, wellbeing: Wellbeing) -> WsgiApplication:
    """Everything that is not an RPC of the engine."""
    flask = Flask("execution_engine")

    @flask.get("/")
    def index() -> Response:
        return jsonify(service="Execution Engine", version=__version__, endpoint=settings.external_url)

    @flask.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.name, message=error.description), error.code or 500

    add_health(flask, wellbeing)
    if not settings.embedded_services:
        return Protected(flask)
    mounted: dict[str, Any] = dict(mount(engine.database.client[EMBEDDED_DATABASE]))
    return Protected(DispatcherMiddleware(flask, mounted))
