"""Which commit of the source runs."""

import subprocess
from functools import cache
from importlib import resources
from pathlib import Path

PACKED = "git_commit"
"""The file in a wheel that `make wheels` has written the commit to."""


@cache
def git_commit() -> str:
    """The commit that the package was built of, or of the checkout that it runs from; empty: nobody can tell."""
    packed = resources.files("execution_engine").joinpath(PACKED)
    if packed.is_file():
        return packed.read_text(encoding="ascii").strip()
    checkout = Path(__file__).parent.parent
    if not (checkout / ".git").exists():
        return ""
    try:
        asked = subprocess.run(
            ["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, check=True, text=True, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip()
