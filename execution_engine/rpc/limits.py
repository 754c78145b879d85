"""How large and how slow a request may be."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes.

    body: of a request. large_body: of a request of the methods that ask for it.
    read_seconds: from the first byte of a body to its last.
    depth: how deep arrays and objects may be nested.
    """

    body: int = 4 * MIB
    large_body: int = 32 * MIB
    read_seconds: float = 10.0
    depth: int = 200
