from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.core.errors import ConfigurationError
from execution_engine.store.tokens import TokenCipher, load_cipher, new_key

OLD, NEW = new_key(), new_key()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_a_token_comes_back_as_it_was(token: str) -> None:
    cipher = TokenCipher([NEW])
    encrypted = cipher.encrypt(token)
    assert cipher.decrypt(encrypted) == token
    assert not token or len(token) < 4 or token.encode() not in encrypted


def test_after_a_change_of_keys_old_tokens_can_be_read_and_new_ones_are_of_the_new_key() -> None:
    before = TokenCipher([OLD]).encrypt("secret")
    both = TokenCipher([NEW, OLD])
    assert both.decrypt(before) == "secret"
    assert TokenCipher([NEW]).decrypt(both.encrypt("secret")) == "secret"


def test_without_its_key_a_token_is_lost() -> None:
    assert TokenCipher([NEW]).decrypt(TokenCipher([OLD]).encrypt("secret")) is None
    assert TokenCipher([NEW]).decrypt(b"no token at all") is None


def test_credentials_are_derived_from_the_keys_newest_first() -> None:
    (new,), (old,) = TokenCipher([NEW]).derivation_keys, TokenCipher([OLD]).derivation_keys
    assert TokenCipher([NEW, OLD]).derivation_keys == [new, old]
    assert new != old
    assert NEW.encode() not in new


def test_keys_come_from_a_file_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_text(f"{NEW}\n{OLD}\n")
    assert load_cipher(str(path)).decrypt(TokenCipher([OLD]).encrypt("secret")) == "secret"


def test_without_a_file_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EE_TOKEN_KEY", f"{NEW} {OLD}")
    assert load_cipher("").decrypt(TokenCipher([OLD]).encrypt("secret")) == "secret"


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_key_file_that_can_not_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"The key file .*secret\.key \(token-key-file\) can't be read: "):
        load_cipher(str(path))


def test_that_there_is_no_key_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EE_TOKEN_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="name a file in token-key-file or set EE_TOKEN_KEY"):
        load_cipher("")


@pytest.mark.parametrize("key", ["short", "é" * 44, "=" * 44])
def test_what_is_no_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a Fernet key") as caught:
        TokenCipher([key])
    assert key not in caught.value.message
