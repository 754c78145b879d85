"""Auth2: whose a token is, and which roles its owner has."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from execution_engine.core.errors import AccountDisabled, AuthUnavailable, TokenInvalid, TokenMissing
from execution_engine.kbase.http import Answer, HttpService

_USER_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_NAMES_PER_CALL = 50  # a name has up to 100 characters, and a URL of more than 8 kB is refused by many servers


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What a token stands for. ``expires_ms``: milliseconds since the epoch."""

    user: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Account:
    """A person. ``display``: the name for people; ``custom_roles``: those that sites define, such as EE_ADMIN."""

    user: str
    display: str
    custom_roles: frozenset[str]


class Auth:
    """Auth2 at one URL. Every method raises AuthUnavailable when it is out of reach."""

    def __init__(self, url: str, timeout: float = 10.0, *, connections: int = 16) -> None:
        self._http = HttpService("Auth", url, AuthUnavailable, timeout=timeout, connections=connections)

    def ping(self) -> None:
        """Nothing, if Auth2 answers; which answer does not matter."""
        self._http.exchange("GET", "/")

    def token_owner(self, token: str | None) -> TokenInfo:
        """Whose the token is. Does not look at the account: :meth:`account` does.

        Raises:
            TokenMissing: there is none.
            TokenInvalid: unknown, expired, revoked, or not of the form of a token.
        """
        body = self._get("/api/V2/token", token)
        match body:
            case {"user": str(user), "expires": int(expires)}:
                return TokenInfo(user, expires)
        raise self._http.down("it describes a token in an unknown way")

    def account(self, token: str | None) -> Account:
        """The account of the token's owner.

        Raises:
            TokenMissing, TokenInvalid: as :meth:`token_owner`.
            AccountDisabled: the account is disabled (Auth2 then also forgets its tokens).
        """
        body = self._get("/api/V2/me", token)
        match body:
            case {"user": str(user), "display": str(display), "customroles": list(roles)}:
                return Account(user, display, frozenset(role for role in roles if isinstance(role, str)))
        raise self._http.down("it describes an account in an unknown way")

    def users(self, token: str | None, names: Iterable[str]) -> dict[str, str]:
        """The display names of those of ``names`` that exist; unknown and disabled ones are missing.

        Raises:
            TokenMissing, TokenInvalid: as :meth:`token_owner`.
        """
        # One name that can't be a user's would fail the whole call.
        possible = iter(dict.fromkeys(name for name in names if _USER_NAME.fullmatch(name)))
        found: dict[str, str] = {}
        while chunk := list(islice(possible, _NAMES_PER_CALL)):
            body = self._get("/api/V2/users?" + urlencode({"list": ",".join(chunk)}, safe=","), token)
            if not isinstance(body, dict) or any(it not in chunk or not isinstance(body[it], str) for it in body):
                raise self._http.down("it lists users in an unknown way")
            found.update(body)
        return found

    def _get(self, path: str, token: str | None) -> Any:
        answer = self._http.exchange("GET", path, token=token or "")
        if answer.status == 200:
            return answer.body
        match _app_code(answer):
            case 10010:
                raise TokenMissing
            case 10020:
                raise TokenInvalid
            case 20010:
                raise AccountDisabled
            case code:
                raise self._http.down(f"it answers HTTP {answer.status}, code {code}, to {path.partition('?')[0]}")


def _app_code(answer: Answer) -> int | None:
    """Auth2's own error number; None for an error of the web framework below it."""
    match answer.body:
        case {"error": {"appcode": int(code)}}:
            return code
    return None
