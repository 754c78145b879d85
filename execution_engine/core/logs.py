"""What the processes of the engine write about themselves: one JSON object a line, on standard output."""

import json
import logging
import sys

from execution_engine.core import context
from execution_engine.core.clock import from_ms

_CALL = {"request_id": context.request_id, "user": context.user, "job": context.job}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, what the caller added, and the traceback.

    While a call is carried out, each line has its request id, and its user and job as soon as they are known.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": from_ms(int(record.created * 1000)).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, variable in _CALL.items() if (value := variable.get())}
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(level: str) -> None:
    """Send everything from ``level`` on to standard output; other libraries from WARNING on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("execution_engine").setLevel(level.upper())
