"""What the values of settings must be like, beyond their types."""

import math
import re
from urllib.parse import urlsplit

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from execution_engine.config.settings import ClientGroupSettings, Settings, default_amounts, scalar_settings
from execution_engine.core.errors import ConfigurationError

SECTION = "execution_engine"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

# MongoDB's documents have at most 16 MiB: what a setting lets in must find room there, and the end of a job always.
_DOCUMENT_BYTES = 16_000_000
_LINE_CHARS = 1_000_000
_YEAR_SECONDS = 366 * 86_400
_SHORTEST_SECONDS = 0.1  # of a time within which something must happen; how long something is believed may be 0
_DATABASE_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
_DATABASES_OF_MONGODB = ("admin", "config", "local")

_BOUNDS: dict[str, tuple[float, float]] = {
    "port": (1, 65_535),
    "web_workers": (1, math.inf),
    "web_threads": (1, math.inf),
    "dispatch_interval_ms": (1, math.inf),
    "reconcile_interval_ms": (1, math.inf),
    "http_timeout_seconds": (_SHORTEST_SECONDS, _YEAR_SECONDS),
    "request_deadline_seconds": (_SHORTEST_SECONDS, _YEAR_SECONDS),
    "submit_timeout_seconds": (_SHORTEST_SECONDS, _YEAR_SECONDS),
    "heartbeat_seconds": (_SHORTEST_SECONDS, _YEAR_SECONDS),
    "lease_seconds": (1, _YEAR_SECONDS),
    "max_start_attempts": (1, math.inf),
    "max_body_bytes": (1, math.inf),
    "max_large_body_bytes": (1, math.inf),
    "max_params_bytes": (1, _DOCUMENT_BYTES),
    "max_output_bytes": (1, _DOCUMENT_BYTES),
    "max_line_chars": (1, _LINE_CHARS),
    "max_batch_jobs": (1, 10_000),
    "max_heavy_calls": (1, math.inf),
    "audit_keep_days": (0, 36_500),
    "default_cpus": (1, math.inf),
    "default_memory_mb": (1, math.inf),
}


def check(settings: Settings, source: str) -> None:
    """Looks at every value; ``source`` stands in front of the section in messages.

    Raises:
        ConfigurationError: one is outside of its bounds, or no such thing exists.
    """
    for name, bounds in _bounds().items():
        check_bounds(getattr(settings, name), bounds, f"{source}[{SECTION}] {name.replace('_', '-')}")
    _check_mongo_url(settings.mongo_url, f"{source}[{SECTION}] mongo-url")
    if not _DATABASE_NAME.fullmatch(settings.mongo_database) or settings.mongo_database in _DATABASES_OF_MONGODB:
        raise ConfigurationError(
            f"{source}[{SECTION}] mongo-database is {settings.mongo_database!r}; expected a name of at most 63 "
            f"letters, digits, _ and -, and none of {', '.join(_DATABASES_OF_MONGODB)}."
        )
    if settings.log_level.upper() not in LOG_LEVELS:
        raise ConfigurationError(
            f"{source}[{SECTION}] log-level is {settings.log_level!r}; expected one of {', '.join(LOG_LEVELS)}."
        )
    if settings.cancel_needs not in ("write", "admin"):
        raise ConfigurationError(
            f"{source}[{SECTION}] cancel-needs is {settings.cancel_needs!r}; expected write or admin."
        )
    for group in settings.client_groups.values():
        _check_defaults(settings, group, source)
    if settings.default_client_group not in settings.client_groups:
        raise ConfigurationError(
            f"{source}[{SECTION}] default-client-group is {settings.default_client_group!r}; expected one of "
            f"{', '.join(settings.client_groups)}, or add a section [client_group:{settings.default_client_group}]."
        )


def _check_defaults(settings: Settings, group: ClientGroupSettings, source: str) -> None:
    for name, default in default_amounts(settings, group).items():
        key, most = name.replace("_", "-"), group.most.get(name, default)
        if default > most:
            raise ConfigurationError(
                f"{source}[client_group:{group.name}] max-{key} is {most:,}, less than the {default:,} of a job that "
                f"does not say; lower that with the key {key} of this section."
            )


def check_bounds(value: float, bounds: tuple[float, float], where: str) -> None:
    """Refuses a number outside of its bounds, and what is no number (nan).

    Raises:
        ConfigurationError: it is.
    """
    low, high = bounds
    if not low <= value <= high:
        expected = f"{low:,} or more" if high == math.inf else f"a number from {low:,} to {high:,}"
        raise ConfigurationError(f"{where} is {value}; expected {expected}.")


def _bounds() -> dict[str, tuple[float, float]]:
    """Those of every number; one that the table does not name is not negative."""
    limits = {int: math.inf, float: _YEAR_SECONDS}
    return {f.name: (0, limits[f.type]) for f in scalar_settings() if f.type in limits} | _BOUNDS


def _check_mongo_url(url: str, where: str) -> None:
    if url.startswith("mongodb+srv://") and urlsplit(url).hostname:
        return  # the rest is in the name service, which may be away for a moment
    try:
        parse_uri(url)
    except (PyMongoError, ValueError, OSError) as error:
        reason = str(error).rstrip(".")
        if "@" in url:  # what is wrong may be a piece of the password
            url = re.sub(r"(.*?//)?.*@", r"\1…@", url, count=1)
            reason = reason if "@" not in reason else "user name and password must be percent-encoded"
        raise ConfigurationError(
            f"{where} is {url!r}; expected an address like mongodb://HOST:27017/?replicaSet=NAME. The driver says: "
            f"{reason}."
        ) from None
