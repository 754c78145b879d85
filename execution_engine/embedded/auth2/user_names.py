"""Which user names Auth2 takes."""

import re

from execution_engine.embedded.auth2.errors import ILLEGAL_USER_NAME, AuthError

MAX_LENGTH = 100
_ILLEGAL = re.compile(r"[^a-z0-9_]")


def check_user_names(names: list[str]) -> None:
    """Check every name of a list.

    Raises:
        AuthError: a name can't be one of an account; the message names it, and what is wrong.
    """
    for name in names:
        if wrong := _what_is_wrong(name):
            inner = AuthError(ILLEGAL_USER_NAME, wrong)
            raise AuthError(ILLEGAL_USER_NAME, f"Illegal user name [{name}]: {inner}")


def _what_is_wrong(name: str) -> str | None:
    if illegal := _ILLEGAL.search(name):
        return f"Illegal character in user name {name}: {illegal.group()}"
    if not name[0].isalpha():
        return "Username must start with a letter"
    if len(name) > MAX_LENGTH:
        return f"user name size greater than limit {MAX_LENGTH}"
    return None
