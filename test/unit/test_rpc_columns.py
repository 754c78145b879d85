import copy
from typing import Any

import fastjsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.rpc.columns import Look, has_structures_in_lists, quick_look
from execution_engine.rpc.schema import DRAFT

LINE = {
    "type": "object",
    "title": "line",
    "description": "",
    "required": ["line"],
    "additionalProperties": False,
    "properties": {
        "line": {"type": "string"},
        "stream": {"type": "string", "enum": ["stdout", "stderr"]},
        "ts": {"type": "integer", "minimum": 0, "maximum": 1000},
        "percent": {"type": "number", "maximum": 100},
        "id": {"type": "string", "pattern": r"^[0-9a-f]{4}\Z"},
        "tags": {"type": "array", "maxItems": 2, "items": {"type": "string", "minLength": 1, "maxLength": 3}},
        "anything": {},
        "list": {"type": "array", "items": {}},
    },
}
LINES = {"type": "array", "items": LINE, "maxItems": 5}
GOOD = {
    "line": "x",
    "stream": "stderr",
    "ts": 0,
    "percent": 0.5,
    "id": "00ff",
    "tags": ["a", "abc"],
    "anything": {"a": [1]},
    "list": [None, 1],
}


def look_of(schema: dict[str, Any]) -> Look:
    look = quick_look(schema)
    assert look is not None
    return look


@pytest.mark.parametrize(
    "lines",
    [[], [GOOD], [{"line": ""}], [GOOD, {"line": "y"}, {"ts": 1000, "line": "z"}], [{"line": "x", "percent": 100}]],
)
def test_right_values_are_seen_to_be_right(lines: list[Any]) -> None:
    assert look_of(LINES)([lines])
    assert look_of(LINES)([lines, lines])


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"ts": 1},
        "line",
        None,
        {"line": 1},
        {"line": "x", "other": 1},
        {"line": "x", "stream": "stdin"},
        {"line": "x", "stream": ["stdout"]},
        {"line": "x", "ts": -1},
        {"line": "x", "ts": 1001},
        {"line": "x", "ts": True},
        {"line": "x", "ts": 1.0},
        {"line": "x", "percent": 100.5},
        {"line": "x", "percent": "1"},
        {"line": "x", "id": "00fg"},
        {"line": "x", "id": "00ff\n"},
        {"line": "x", "tags": "a"},
        {"line": "x", "tags": ["a", "b", "c"]},
        {"line": "x", "tags": [""]},
        {"line": "x", "tags": ["abcd"]},
        {"line": "x", "list": {}},
    ],
)
def test_one_wrong_value_among_right_ones_is_noticed(wrong: Any) -> None:
    assert not look_of(LINES)([[GOOD, wrong]])
    assert not look_of(LINES)([[GOOD], [wrong, GOOD]])


def test_too_many_items_are_noticed() -> None:
    assert not look_of(LINES)([[GOOD] * 6])


def test_unknown_fields_pass_where_they_may() -> None:
    assert look_of({"type": "object", "properties": {"a": {"type": "integer"}}})([{"a": 1, "b": object()}, {}])


@pytest.mark.parametrize(
    "schema",
    [
        {"type": ["integer", "boolean"]},
        {"type": "null"},
        {"type": "number", "not": {"enum": [0]}},
        {"type": "array"},
        {"type": "array", "items": [{"type": "string"}]},
        {"type": "array", "items": {"type": "null"}},
        {"type": "object", "patternProperties": {"^a": {}}},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": {"type": "null"}}},
    ],
)
def test_what_cannot_be_seen_in_columns_is_left_to_the_compiled_check(schema: dict[str, Any]) -> None:
    assert quick_look(schema) is None


@pytest.mark.parametrize(
    ("schema", "pays"),
    [
        (LINES, True),
        ({"type": "object", "properties": {"lines": LINES}}, True),
        ({"type": "array", "items": LINES}, True),
        (LINE, False),
        ({"type": "array", "items": {"type": "string"}}, False),
        ({"type": "array", "items": [LINE]}, False),
        ({}, False),
    ],
)
def test_a_quick_look_pays_for_lists_of_structures(schema: dict[str, Any], pays: bool) -> None:
    assert has_structures_in_lists(schema) is pays


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 1005)
    | st.floats(-5, 105)
    | st.sampled_from(["", "x", "00ff", "stdout"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(GOOD)), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.tuples(st.sampled_from([*GOOD, "other"]), json_values), max_size=3), st.integers(0, 3))
def test_the_look_and_the_compiled_check_agree(changes: list[tuple[str, Any]], size: int) -> None:
    lines = [copy.deepcopy(GOOD) for _ in range(size)]
    for number, (name, value) in enumerate(changes):
        if lines:
            lines[number % size][name] = value
    try:
        _compiled(lines)
    except fastjsonschema.JsonSchemaValueException:
        assert not look_of(LINES)([lines])
    else:
        assert look_of(LINES)([lines])


_compiled = fastjsonschema.compile({"$schema": DRAFT, **LINES}, use_default=False, use_formats=False)
