"""The runner's own output, for the operators: it lies where the backend keeps it."""

from __future__ import annotations

import sys
import time


def note(text: str) -> None:
    """Write one line with the time to stderr."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} runner: {text}", file=sys.stderr, flush=True)  # noqa: T201
