"""JSON as the engine writes it: compact UTF-8, big integers kept, nothing that is not JSON."""

import json
from typing import Any


def to_json(value: Any) -> bytes:
    """Compact UTF-8.

    Raises:
        ValueError: NaN, infinity or a lone surrogate.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def canonical_json(value: Any) -> bytes:
    """As :func:`to_json`, with sorted keys: equal values have equal text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True).encode()


def from_json(text: bytes | str) -> Any:
    """The value."""
    return json.loads(text)
