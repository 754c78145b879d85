"""What gunicorn loads: ``execution_engine.wsgi:application("MODULE")``."""

import importlib
import sys
from typing import Any

from execution_engine.core.errors import ConfigurationError

GIVE_UP = 4  # gunicorn's exit code for an application that does not load: its master ends, too, and does not try again


def application(module: str) -> Any:
    """The WSGI application that ``create_app()`` of ``module`` makes.

    A wrong setting is said in one sentence and ends the server, where gunicorn would write a traceback.
    """
    try:
        return importlib.import_module(module).create_app()
    except ConfigurationError as error:
        print(error.message, file=sys.stderr, flush=True)  # noqa: T201 - for the operator, who may see no other log
        sys.exit(GIVE_UP)
