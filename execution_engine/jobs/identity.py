"""Who is asking: the user of a token, and their part in the engine."""

from dataclasses import dataclass
from enum import IntEnum

from execution_engine.config import Settings
from execution_engine.core import context
from execution_engine.core.errors import TokenInvalid
from execution_engine.core.ids import CREDENTIAL_PREFIX, TICKET_PREFIX
from execution_engine.jobs.engine import Engine


class Admin(IntEnum):
    """What a user may do as administrator."""

    NONE = 0
    READ = 1
    FULL = 2


@dataclass(frozen=True, slots=True)
class User:
    """A checked user. ``token`` is theirs, for calls in their name; it is never shown."""

    name: str
    roles: tuple[str, ...]
    admin: Admin
    token: str

    def __repr__(self) -> str:
        return f"User({self.name!r})"


def identify(engine: Engine, token: str | None) -> User:
    """The user of a token, as it came in the Authorization header; believed for token-cache-seconds.

    Raises:
        TokenMissing, TokenInvalid, AccountDisabled, AuthUnavailable
    """
    token = (token or "").strip()
    if token.startswith((TICKET_PREFIX, CREDENTIAL_PREFIX)):
        raise TokenInvalid("Token validation failed: this is a runner's secret; this method needs a user's token.")
    account = engine.tokens.account(token)
    context.user.set(account.user)
    roles = tuple(sorted(account.custom_roles))
    return User(account.user, roles, _admin(engine.settings, roles), token)


def _admin(settings: Settings, roles: tuple[str, ...]) -> Admin:
    if not set(settings.admin_roles).isdisjoint(roles):
        return Admin.FULL
    return Admin.NONE if set(settings.admin_read_roles).isdisjoint(roles) else Admin.READ
