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
        lock = _hold(folder)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {folder} can't be written: {error.strerror}. Choose another one with --data or EE_DATA, "
            "or make this one writable for the account that runs the engine."
        ) from error
    try:
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield folder
    finally:
        (folder / LOCK_NAME).unlink(missing_ok=True)
        os.close(lock)


def _hold(folder: Path) -> int:
    """The open lock file, locked."""
    path = folder / LOCK_NAME
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, lock):  # else its holder removed it between the two calls above
                return lock
        except BlockingIOError:
            holder = os.read(lock, 32).decode().strip() or "unknown"
            os.close(lock)
            raise ConfigurationError(
                f"Another `execution-engine up` (process {holder}) already runs on {folder}. Stop it (kill {holder}), "
                "or choose another data folder with --data or EE_DATA."
            ) from None
        os.close(lock)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
