"""Why an attempt can't go on, as the user is told."""

from __future__ import annotations

import errno
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


class Trouble(Exception):
    """The attempt can't go on. ``code``: one of the engine's causes; the text: for the user."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def trouble_with_folder(folder: Path, error: OSError) -> Trouble:
    """What it means that the job's folder can't be written."""
    host = socket.gethostname()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Trouble("disk_full", f"The disk of the job's folder {folder} on {host} is full: {error.strerror}.")
    return Trouble("setup_failed", f"The job's folder {folder} on {host} can't be prepared: {error}.")
