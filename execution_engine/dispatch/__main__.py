"""The dispatcher process: ``python -m execution_engine.dispatch``, settings from KB_DEPLOYMENT_CONFIG."""

import logging
import signal
import sys
import threading

from pymongo.errors import PyMongoError

from execution_engine.backends.kinds import build_backends
from execution_engine.config import load
from execution_engine.core.errors import ConfigurationError
from execution_engine.core.logs import configure_logging
from execution_engine.dispatch.dispatcher import Dispatcher
from execution_engine.dispatch.run_reports import RunReports
from execution_engine.jobs.engine import build_engine
from execution_engine.kbase.catalog import Catalog
from execution_engine.store.database import UNREACHABLE, connect
from execution_engine.store.schema import prepare
from execution_engine.store.tokens import load_cipher

_log = logging.getLogger("execution_engine.dispatch")


def main() -> int:
    """Run until SIGTERM or SIGINT; 2 if a setting is wrong, 1 if the database refuses what the engine needs."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load()
        configure_logging(settings.log_level)
        database = connect(settings.mongo_url, settings.mongo_database)
        engine = build_engine(settings, database, load_cipher(settings.token_key_file))
        backends = build_backends(settings)
        while not stop.is_set():
            try:
                prepare(database)
                break
            except UNREACHABLE as error:
                _log.warning("waiting for the database: %s", error)
                stop.wait(1)
    except ConfigurationError as error:
        print(error.message, file=sys.stderr)  # noqa: T201  for the operator, before there is a log
        return 2
    except PyMongoError as error:
        # It answers, and refuses: waiting would not change that.
        print(f"The database can't be used: {error}", file=sys.stderr)  # noqa: T201  as above
        return 1
    if settings.service_token_file:
        catalog = Catalog(settings.catalog_url, settings.http_timeout_seconds)
        reports = RunReports(engine.jobs, catalog, settings.service_token_file)
        threading.Thread(target=reports.run, args=(stop,), name="run reports", daemon=True).start()
    dispatcher = Dispatcher(engine, backends)
    threading.Thread(target=dispatcher.keep_post, args=(stop,), name="post", daemon=True).start()
    dispatcher.run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
