from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.core.json_text import canonical_json, from_json, to_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    assert from_json(to_json(value)) == value
    assert from_json(canonical_json(value)) == value


def test_the_text_is_compact_utf8_and_keeps_big_integers() -> None:
    assert (
        to_json({"name": "Échantillon", "n": 2**80}) == '{"name":"Échantillon","n":1208925819614629174706176}'.encode()
    )


def test_equal_values_have_equal_canonical_text() -> None:
    assert canonical_json({"b": [1, {"d": 1, "c": 2}], "a": 1}) == canonical_json({"a": 1, "b": [1, {"c": 2, "d": 1}]})
    assert canonical_json([1, 2]) != canonical_json([2, 1])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"\udfff": 1}])
@pytest.mark.parametrize("write", [to_json, canonical_json])
def test_what_is_not_json_is_not_written(write: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON|surrogates"):
        write(value)
