"""What the app says about its progress."""

from __future__ import annotations

import json
import math

from .folder import read_app_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

MAX_FILE_BYTES = 64 << 10
MAX_MESSAGE = 500


def read_progress(path: Path) -> dict[str, Any]:
    """``percent`` (0-100) and ``message`` from the app's progress file, as far as they are there and usable."""
    try:
        found = json.loads(read_app_file(path, MAX_FILE_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    progress: dict[str, Any] = {}
    percent = found.get("percent")
    if isinstance(percent, (int, float)) and not isinstance(percent, bool) and math.isfinite(percent):
        progress["percent"] = min(100.0, max(0.0, float(percent)))
    message = found.get("message")
    if isinstance(message, str) and message:
        progress["message"] = message.encode("utf-8", "replace").decode()[:MAX_MESSAGE].replace("\0", "\u2400")
    return progress
