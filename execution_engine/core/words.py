"""The words of an error, by which jobs are found again."""

import re
from typing import Any

MAX_WORDS = 12  # of one error: each costs an entry in an index
MAX_CHARS = 40
_SPLIT = re.compile(r"[\W_]+")
# Found in nearly every error, so they would only push out the words that tell errors apart.
_EMPTY = frozenset(
    _SPLIT.split(
        "an and are as at be by could did do does error errors failed for from has have in is it its may no not of on "
        "or that the this to was were while with"
    )
)


def split_words(text: str) -> list[str]:
    """The lower-case words that tell something, each once, in order; ``_``, ``.`` and ``/`` separate words too."""
    words = (word[:MAX_CHARS] for word in _SPLIT.split(text.casefold()))
    return list(dict.fromkeys(word for word in words if len(word) > 1 and word not in _EMPTY))


def error_words(cause: dict[str, Any]) -> list[str]:
    """The first words of a cause: of its message, its code, its detail."""
    said = (str(cause.get(name, "")) for name in ("message", "code", "detail"))
    return split_words(" ".join(said))[:MAX_WORDS]
