"""The data folder of one engine: writable, and used by one `execution-engine up` at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from execution_engine.core.errors import ConfigurationError

LOCK_NAME = "up.lock"
ENDPOINTS_NAME = "endpoints.json"
"""Names every URL, for clients on the same machine."""


@contextmanager
def data_folder(folder: Path) -> Iterator[Path]:
    """The folder, absolute, created if missing and held by this process alone.

    Raises:
        ConfigurationError: it can't be created or written, or another process holds it.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {folder} can't be written: {error.strerror}. Choose another one with --data or EE_DATA, "
            "or make this one writable for the account that runs the engine."
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode().strip() or "unknown"
            raise ConfigurationError(
                f"Another `execution-engine up` (process {holder}) already runs on {folder}. Stop it (kill {holder}), "
                "or choose another data folder with --data or EE_DATA."
            ) from None
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield folder
    finally:
        os.close(lock)
