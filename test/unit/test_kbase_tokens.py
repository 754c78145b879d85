import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.core.errors import TokenInvalid, TokenMissing
from execution_engine.kbase.tokens import clean_token, token_key


@pytest.mark.parametrize("token", [None, "", " ", "\t\r\n"])
def test_nothing_is_a_missing_token(token: str | None) -> None:
    with pytest.raises(TokenMissing):
        clean_token(token)


def test_white_space_around_a_token_does_not_belong_to_it() -> None:
    assert clean_token(" ABC234\n") == "ABC234"


@pytest.mark.parametrize("token", ["a\nb", "a\x00", "a\x7fb", "→", "a\u2028b", "\ud800", "x" * 1001])
def test_what_no_service_issues_is_invalid_and_not_repeated(token: str) -> None:
    with pytest.raises(TokenInvalid, match=r"^Token validation failed: the token ") as raised:
        clean_token(token)
    assert token not in raised.value.message


@given(st.text(max_size=1100))
def test_a_clean_token_fits_a_header(token: str) -> None:
    try:
        clean = clean_token(token)
    except (TokenMissing, TokenInvalid):
        return
    assert clean.encode("latin-1").strip() == clean.encode("latin-1")
    assert not set(clean) & {"\r", "\n", "\0"}


@given(st.text())
def test_every_token_has_a_key_that_does_not_hold_it(token: str) -> None:
    assert len(token_key(token)) == 32


def test_tokens_have_different_keys() -> None:
    assert token_key("a") != token_key("b")
    assert token_key("a") == token_key("a")
