"""Who may call a method: the access rules of the registry, and what each admits a caller as."""

from execution_engine.core.errors import CredentialInvalid, TokenMissing
from execution_engine.core.ids import CREDENTIAL_PREFIX, TICKET_PREFIX
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User, identify
from execution_engine.rpc.registry import Access


class Rules:
    """The access rules, bound to an engine."""

    def __init__(self, engine: Engine) -> None:
        def user(authorization: str | None) -> User:
            return identify(engine, authorization)

        self.anyone = Access("anyone", "Everybody, without a token.", lambda _: None, "none")
        self.maybe_user = Access(
            "anyone, token or not", "Everybody; a token is not needed.", lambda _: None, "optional"
        )
        self.user = Access("user", "Every user; what they see and may do is decided for each job.", user)
        self.ticket = Access("ticket", "The runner that holds the attempt's start ticket.", _ticket)
        self.attempt = Access("attempt", "The runner that holds the attempt's credential.", _credential)


def _ticket(authorization: str | None) -> str:
    return _secret(authorization, TICKET_PREFIX, "start ticket")


def _credential(authorization: str | None) -> str:
    return _secret(authorization, CREDENTIAL_PREFIX, "attempt's credential")


def _secret(authorization: str | None, prefix: str, what: str) -> str:
    secret = (authorization or "").strip()
    if not secret:
        raise TokenMissing(f"The Authorization header is missing; expected the {what}.")
    if not secret.startswith(prefix):
        raise CredentialInvalid(f"The Authorization header does not hold the {what}, which begins with {prefix}.")
    return secret
