from typing import Any

import pytest

from execution_engine.core.errors import (
    AccountDisabled,
    AppMisconfigured,
    AppNotFound,
    AuthUnavailable,
    TokenInvalid,
    TokenMissing,
    WorkspaceUnavailable,
)
from execution_engine.kbase.auth import Account, TokenInfo
from execution_engine.kbase.cached import CheckedTokens, KnownModules, KnownPermissions
from execution_engine.kbase.permissions import Permission, WorkspaceAccess

TOKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Time:
    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return 50.0 + self.passed

    def wall(self) -> float:
        return 1_800_000_000.0 + self.passed


@pytest.fixture
def time() -> Time:
    return Time()


class Service:
    """Plays any of the three: answers what it is told, or raises it, and counts."""

    def __init__(self) -> None:
        self.answer: Any = None
        self.asked: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        def ask(*args: Any) -> Any:
            self.asked.append((name, *args))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer(*args) if callable(self.answer) else self.answer

        return ask


@pytest.fixture
def service() -> Any:
    return Service()


@pytest.fixture
def tokens(service: Any, time: Time) -> CheckedTokens:
    return CheckedTokens(service, token_seconds=60, denial_seconds=3, clock=time.monotonic, wall_clock=time.wall)


def test_a_token_is_believed_for_its_time(tokens: CheckedTokens, service: Any, time: Time) -> None:
    service.answer = TokenInfo("alice", 9_999_999_999_999)
    assert tokens.token_owner(TOKEN).user == "alice"
    time.passed = 59
    assert tokens.token_owner(f" {TOKEN}\n").user == "alice"
    service.answer = TokenInvalid()
    time.passed = 60
    with pytest.raises(TokenInvalid):
        tokens.token_owner(TOKEN)
    assert len(service.asked) == 2


def test_a_token_is_not_believed_beyond_its_end(tokens: CheckedTokens, service: Any, time: Time) -> None:
    service.answer = TokenInfo("alice", int((time.wall() + 10) * 1000))
    tokens.token_owner(TOKEN)
    service.answer = TokenInvalid()
    time.passed = 9.9
    assert tokens.token_owner(TOKEN).user == "alice"
    time.passed = 10
    with pytest.raises(TokenInvalid):
        tokens.token_owner(TOKEN)


@pytest.mark.parametrize("error", [TokenInvalid, AccountDisabled])
@pytest.mark.parametrize("method", ["token_owner", "account"])
def test_a_refused_token_is_asked_about_again_soon(
    tokens: CheckedTokens, service: Any, time: Time, error: type[Exception], method: str
) -> None:
    service.answer = error()
    for time.passed in (0, 1, 2.9, 3):
        with pytest.raises(error):
            getattr(tokens, method)(TOKEN)
    assert len(service.asked) == 2


@pytest.mark.parametrize("method", ["token_owner", "account"])
def test_an_outage_of_auth_is_asked_about_at_once(tokens: CheckedTokens, service: Any, method: str) -> None:
    service.answer = AuthUnavailable()
    for _ in range(2):
        with pytest.raises(AuthUnavailable):
            getattr(tokens, method)(TOKEN)
    assert len(service.asked) == 2


def test_a_missing_token_needs_no_question(tokens: CheckedTokens, service: Any) -> None:
    with pytest.raises(TokenMissing):
        tokens.token_owner(None)
    assert service.asked == []


def test_roles_are_believed_as_long_as_tokens(tokens: CheckedTokens, service: Any, time: Time) -> None:
    service.answer = Account("alice", "Alice", frozenset({"EE_ADMIN"}))
    assert tokens.account(TOKEN).custom_roles == {"EE_ADMIN"}
    service.answer = Account("alice", "Alice", frozenset())
    time.passed = 59
    assert tokens.account(TOKEN).custom_roles == {"EE_ADMIN"}
    time.passed = 60
    assert tokens.account(TOKEN).custom_roles == frozenset()


def test_no_token_stays_in_memory(tokens: CheckedTokens, service: Any) -> None:
    service.answer = TokenInfo("alice", 9_999_999_999_999)
    tokens.token_owner(TOKEN)
    assert all(TOKEN.encode() not in key for key in tokens._owners._values)


def granted(permission: Permission) -> WorkspaceAccess:
    return WorkspaceAccess(permission)


@pytest.fixture
def known(service: Any, time: Time) -> KnownPermissions:
    return KnownPermissions(service, permission_seconds=30, denial_seconds=3, clock=time.monotonic)


def test_only_unknown_workspaces_are_asked_for(known: KnownPermissions, service: Any) -> None:
    service.answer = lambda _user, wsids, _token: dict.fromkeys(wsids, granted(Permission.READ))
    known.permissions("alice", [1, 2], TOKEN)
    assert known.permissions("alice", [3, 2, 1], TOKEN) == dict.fromkeys([1, 2, 3], granted(Permission.READ))
    assert service.asked == [("permissions", "alice", [1, 2], TOKEN), ("permissions", "alice", [3], TOKEN)]


def test_revoked_access_ends_after_the_stated_time(known: KnownPermissions, service: Any, time: Time) -> None:
    service.answer = {1: granted(Permission.WRITE)}
    known.permissions("alice", [1], TOKEN)
    service.answer = {1: granted(Permission.NONE)}
    time.passed = 29.9
    assert known.permissions("alice", [1], TOKEN) == {1: granted(Permission.WRITE)}
    time.passed = 30
    assert known.permissions("alice", [1], TOKEN) == {1: granted(Permission.NONE)}


def test_a_new_share_shows_soon(known: KnownPermissions, service: Any, time: Time) -> None:
    service.answer = {1: WorkspaceAccess(Permission.NONE, public=True)}
    known.permissions("alice", [1], TOKEN)
    service.answer = {1: granted(Permission.READ)}
    time.passed = 2.9
    assert known.permissions("alice", [1], TOKEN)[1].permission == Permission.NONE
    time.passed = 3
    assert known.permissions("alice", [1], TOKEN)[1].permission == Permission.READ


def test_new_permission_to_write_works_soon_for_somebody_who_could_read(
    known: KnownPermissions, service: Any, time: Time
) -> None:
    service.answer = {1: granted(Permission.READ)}
    known.permissions("alice", [1], TOKEN, Permission.WRITE)
    service.answer = {1: granted(Permission.WRITE)}
    time.passed = 3
    assert known.permissions("alice", [1], TOKEN, Permission.WRITE)[1].permission == Permission.WRITE


def test_a_refused_token_is_no_answer_to_another_one(known: KnownPermissions, service: Any) -> None:
    service.answer = TokenInvalid()
    with pytest.raises(TokenInvalid):
        known.permissions("alice", [1], "OLD")
    service.answer = {1: granted(Permission.READ)}
    assert known.permissions("alice", [1], "NEW") == {1: granted(Permission.READ)}


def test_an_outage_of_the_workspace_does_not_touch_what_is_known(known: KnownPermissions, service: Any) -> None:
    service.answer = {1: granted(Permission.READ)}
    known.permissions("alice", [1], TOKEN)
    service.answer = WorkspaceUnavailable()
    assert known.permissions("alice", [1], TOKEN) == {1: granted(Permission.READ)}
    with pytest.raises(WorkspaceUnavailable):
        known.permissions("alice", [1, 2], TOKEN)


@pytest.fixture
def modules(service: Any, time: Time) -> Any:
    return KnownModules(service, seconds=10, denial_seconds=3, clock=time.monotonic)


def test_what_the_catalog_said_is_believed_for_its_time(modules: Any, service: Any, time: Time) -> None:
    service.answer = "version 1"
    assert modules.module_version("m", "dev") == "version 1"
    assert modules.placement("m", "f") == "version 1"
    assert modules.owners("m") == "version 1"
    service.answer = "version 2"
    time.passed = 9.9
    assert modules.module_version("m", "dev") == "version 1"
    assert modules.module_version("m") == "version 2"
    time.passed = 10
    assert modules.module_version("m", "dev") == "version 2"
    assert modules.placement("m", "f") == "version 2"
    assert modules.owners("m") == "version 2"


def test_a_mended_app_is_found_soon(modules: Any, service: Any, time: Time) -> None:
    service.answer = AppMisconfigured("bad")
    with pytest.raises(AppMisconfigured):
        modules.placement("m", "f")
    service.answer = "good"
    time.passed = 2.9
    with pytest.raises(AppMisconfigured, match="bad"):
        modules.placement("m", "f")
    time.passed = 3
    assert modules.placement("m", "f") == "good"


def test_a_new_app_is_found_soon(modules: Any, service: Any, time: Time) -> None:
    service.answer = AppNotFound("no such app")
    for time.passed in (0, 2.9):
        with pytest.raises(AppNotFound, match="no such app"):
            modules.module_version("m", "dev")
    service.answer = "here now"
    time.passed = 3
    assert modules.module_version("m", "dev") == "here now"
    assert len(service.asked) == 2
