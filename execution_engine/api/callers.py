"""Who may call a method: the access rules of the registry, and what each admits a caller as."""

from execution_engine.core.errors import CredentialInvalid, PermissionDenied, TokenMissing
from execution_engine.core.ids import CREDENTIAL_PREFIX, TICKET_PREFIX
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, User, identify
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
        self.user = Access("user", "Every user.", user)
        self.submitter = Access("submitter", "Every user; in a workspace, who can write it now.", user)
        self.reader = Access(
            "reader",
            "For each job its owner, who can read its workspace, whom the owner named, and administrators. Of a job of "
            "a public workspace everybody may see the record's first facts, in check_job, check_jobs and list_jobs.",
            user,
        )
        self.controller = Access(
            "controller",
            "For each job its owner, who can write its workspace (setting cancel-needs), and full administrators.",
            user,
        )
        self.owner = Access("owner", "For each job its owner, and full administrators.", user)
        self.administrator = Access(
            "administrator", "Administrators, also those who may only look.", lambda token: _administrator(user(token))
        )
        self.full_administrator = Access(
            "full administrator", "Full administrators.", lambda token: _full_administrator(user(token))
        )
        self.limiter = Access(
            "limiter",
            "Full administrators; the run time of an app's methods also by the owners of its module.",
            user,
        )
        self.ticket = Access("ticket", "The runner that holds the attempt's start ticket.", _ticket)
        self.attempt = Access("attempt", "The runner that holds the attempt's credential.", _credential)


def _administrator(user: User) -> User:
    if user.admin < Admin.READ:
        raise PermissionDenied("Only administrators may call this method.")
    return user


def _full_administrator(user: User) -> User:
    if user.admin < Admin.FULL:
        raise PermissionDenied("Only full administrators may call this method.")
    return user


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
