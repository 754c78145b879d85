import re
from collections import Counter

import pytest

from execution_engine.core.errors import EngineError, JobNotFound, LogGap, all_errors

ERRORS = list(all_errors())


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.reason)
def test_every_error_has_a_sentence_a_reason_and_a_number(error: type[EngineError]) -> None:
    assert re.fullmatch(r"[a-z][a-z_]*", error.reason)
    assert error.code < 0
    assert error().message == (error.__doc__ or "").strip()
    assert error().message.endswith(".")


def test_reasons_and_numbers_are_used_once() -> None:
    assert max(Counter(error.reason for error in ERRORS).values()) == 1
    shared = {code for code, count in Counter(error.code for error in ERRORS).items() if count > 1}
    assert shared == {-32400}, "all that is wrong with a token has KBase's one number"


def test_an_error_says_its_own_sentence_and_carries_details() -> None:
    error = LogGap("Line 3 is expected next.", next_line=3)
    assert str(error) == error.message == "Line 3 is expected next."
    assert error.data == {"next_line": 3}


def test_clients_that_look_for_texts_find_them() -> None:
    # The Narrative looks for this text to log its user out.
    tokens = [error for error in ERRORS if error.code == -32400]
    assert all(error().message.startswith("Token validation failed") for error in tokens)
    assert JobNotFound().message == "There is no such job, or the caller may not read it."
