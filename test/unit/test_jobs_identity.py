import pytest
from store_engine import KBase

from execution_engine.core.errors import AuthUnavailable, TokenInvalid
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, identify


@pytest.mark.parametrize(
    ("roles", "admin"),
    [
        (set(), Admin.NONE),
        ({"SOMETHING_ELSE"}, Admin.NONE),
        ({"EE_ADMIN_RO"}, Admin.READ),
        ({"EE2_ADMIN_RO", "SOMETHING_ELSE"}, Admin.READ),
        ({"EE_ADMIN"}, Admin.FULL),
        ({"EE2_ADMIN", "EE2_ADMIN_RO"}, Admin.FULL),
    ],
)
def test_custom_roles_make_administrators(engine: Engine, kbase: KBase, roles: set[str], admin: Admin) -> None:
    kbase.roles["ruth"] = roles
    user = identify(engine, "ruth-token")
    assert (user.name, user.admin, user.roles) == ("ruth", admin, tuple(sorted(roles)))


def test_white_space_around_a_token_is_none_of_it(engine: Engine) -> None:
    assert identify(engine, " alice-token\n").token == "alice-token"


def test_a_token_is_never_shown(engine: Engine) -> None:
    assert repr(identify(engine, "alice-token")) == "User('alice')"


@pytest.mark.parametrize("token", [None, "", "  ", "alice"])
def test_what_auth_refuses_is_refused(engine: Engine, token: str | None) -> None:
    with pytest.raises(TokenInvalid):
        identify(engine, token)


@pytest.mark.parametrize("secret", ["eet_abc-token", "eec_abc-token"])
def test_a_runners_secret_never_leaves_for_auth(engine: Engine, kbase: KBase, secret: str) -> None:
    kbase.down.add("auth")
    with pytest.raises(TokenInvalid, match="a runner's secret; this method needs a user's token"):
        identify(engine, secret)


def test_an_outage_of_auth_is_said(engine: Engine, kbase: KBase) -> None:
    kbase.down.add("auth")
    with pytest.raises(AuthUnavailable):
        identify(engine, "alice-token")
