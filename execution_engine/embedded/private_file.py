"""Files with secrets: whole or not there at all, and only for the account that runs the engine."""

import os
from pathlib import Path

PRIVATE = 0o600


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` by a file (mode 0600) with this text; after a crash it has the old text or the new one.

    Raises:
        OSError: the folder is not writable or the disk is full.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)  # one that a crash left may have another mode
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
