"""Accounts and their tokens in the database."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pymongo import ASCENDING
from pymongo.database import Database

from execution_engine.core import clock
from execution_engine.embedded.tokens import new_token, token_hash

Document = dict[str, Any]
DAY_MS = 24 * 60 * 60 * 1000

LIFETIME_MS = {"Login": 14 * DAY_MS, "Agent": 7 * DAY_MS, "Developer": 90 * DAY_MS}
"""How long a token of each type lives when nothing else is said: Auth2's defaults."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token: everything but the token itself. Times are milliseconds since the epoch."""

    id: str
    user: str
    type: str
    name: str | None
    custom: Mapping[str, str]
    created: int
    expires: int

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """The token of a database record."""
        return cls(
            document["id"],
            document["user"],
            document["type"],
            document["name"],
            dict(document["custom"]),
            document["created"],
            document["expires"],
        )


class Accounts:
    """The accounts (``auth_users``) and tokens (``auth_tokens``) of a database; tokens are known by their hash only."""

    def __init__(self, database: Database[Document]) -> None:
        self._users = database["auth_users"]
        self._tokens = database["auth_tokens"]

    def ensure_indexes(self) -> None:
        """Create the indexes; harmless when they exist."""
        self._tokens.create_index([("remove_at", ASCENDING)], expireAfterSeconds=0)
        self._tokens.create_index([("user", ASCENDING)])  # removing an account's tokens

    def ensure_user(self, name: str, display: str, *, custom_roles: Iterable[str] = ()) -> None:
        """Create the account unless it exists; either way it has at least these custom roles afterwards."""
        new: Document = {
            "display": display,
            "email": None,
            "created": clock.to_ms(clock.now()),
            "last_login": None,
            "roles": [],
            "disabled": False,
            "anonymous_id": str(uuid.uuid4()),
        }
        self._users.update_one(
            {"_id": name},
            {"$setOnInsert": new, "$addToSet": {"custom_roles": {"$each": list(custom_roles)}}},
            upsert=True,
        )

    def user(self, name: str) -> Document | None:
        """The account's record: ``_id`` (its name), display, email, roles, custom_roles, disabled and so on."""
        return self._users.find_one({"_id": name})

    def display_names(self, names: Iterable[str]) -> dict[str, str]:
        """The display name of each of these accounts that exists and is not disabled."""
        found = self._users.find({"_id": {"$in": list(names)}, "disabled": False}, {"display": 1})
        return {user["_id"]: user["display"] for user in found}

    def exists(self, name: str) -> bool:
        """Whether there is such an account that is not disabled."""
        return bool(self.display_names([name]))

    def custom_roles(self, name: str) -> list[str]:
        """The account's custom roles, sorted; none for an account that is unknown or disabled."""
        user = self.user(name)
        return sorted(user["custom_roles"]) if user and not user["disabled"] else []

    def issue(
        self,
        user: str,
        kind: str,
        *,
        name: str | None = None,
        custom: Mapping[str, str] | None = None,
        lifetime_ms: int | None = None,
        secret: str | None = None,
    ) -> tuple[str, Token]:
        """Make a token of the type ``kind`` valid from now on; the token itself, and what is known of it.

        ``secret`` is a token that the caller drew with :func:`new_token` and has already put where it is needed.
        """
        secret = secret or new_token()
        now = clock.to_ms(clock.now())
        expires = now + (lifetime_ms or LIFETIME_MS[kind])
        token = Token(str(uuid.uuid4()), user, kind, name, custom or {}, now, expires)
        document = {
            "_id": token_hash(secret),
            "id": token.id,
            "user": user,
            "type": kind,
            "name": name,
            "custom": [[key, value] for key, value in token.custom.items()],  # keys may have dots
            "created": now,
            "expires": expires,
            "remove_at": clock.from_ms(expires),  # MongoDB wants a date to remove records by
        }
        self._tokens.replace_one({"_id": document["_id"]}, document, upsert=True)
        return secret, token

    def token(self, secret: str) -> Token | None:
        """What is known of this token; nothing when it is unknown, revoked or expired: callers can't tell which."""
        document = self._tokens.find_one({"_id": token_hash(secret)})
        # MongoDB removes expired records only once a minute.
        if document is None or document["expires"] <= clock.to_ms(clock.now()):
            return None
        return Token.from_document(document)

    def owner(self, secret: str) -> str | None:
        """The name of the account that a valid token belongs to."""
        token = self.token(secret)
        return token.user if token else None

    def remove_tokens(self, user: str) -> None:
        """Revoke every token of an account."""
        self._tokens.delete_many({"user": user})
