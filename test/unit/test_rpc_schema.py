from typing import Any

import jsonschema
import pytest

from execution_engine.core.errors import InvalidParams
from execution_engine.rpc.kidl import parse
from execution_engine.rpc.schema import DRAFT, Policy, parameter_schema, result_schema, type_schema
from execution_engine.rpc.validation import Check


def schema_of(components: str, policy: Policy | None = None) -> dict[str, Any]:
    """The schema of the last type defined in a module with the given components."""
    module = parse(f"module M {{ {components} }};")
    return type_schema(list(module.typedefs.values())[-1], policy or Policy())


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Whether our check takes a value; the reference implementation must agree."""
    try:
        Check(schema, "value")(value)
        taken = True
    except InvalidParams:
        taken = False
    assert jsonschema.Draft4Validator({"$schema": DRAFT, **schema}).is_valid(value) == taken
    return taken


@pytest.mark.parametrize(
    ("components", "good", "bad"),
    [
        ("typedef string t;", ["", "text"], [1, None, True, [], {}]),
        ("typedef int t;", [0, -1, 10**40], [5.0, True, False, "5", None]),
        ("typedef float t;", [0, 1.5, -2], [True, "1.5", None]),
        ("typedef UnspecifiedObject t;", [None, 1, 10**40, "x", [1, {}], {"$where": 1}], []),
        ("typedef list<int> t;", [[], [1, 2]], [None, {}, [1, "2"], [1.0]]),
        ("typedef mapping<string, int> t;", [{}, {"a": 1, "": 2}], [[], {"a": "1"}]),
        ("typedef mapping<int, int> t;", [{}, {"1": 1, "-2": 2}], [{"x": 1}, {"1\n": 1}]),
        ("typedef mapping<float, int> t;", [{"1.5": 1, "1e3": 2}], [{"x": 1}]),
        ("typedef mapping<list<int>, int> t;", [{"any": 1}], [{"any": "1"}]),
        ("typedef tuple<int, string> t;", [[1, "a"]], [[1], [1, "a", 2], ["a", 1], []]),
        ("typedef structure { int a; } t;", [{"a": 1}], [{}, {"a": None}, {"a": 1, "b": 2}, []]),
        ("/* @optional b */ typedef structure { int a; int b; } t;", [{"a": 1}, {"a": 1, "b": 2}], [{"b": 2}]),
        ("typedef structure { } t;", [{}], [{"a": 1}]),
    ],
)
def test_types(components: str, good: list[Any], bad: list[Any]) -> None:
    schema = schema_of(components)

    assert [value for value in good if not accepts(schema, value)] == []
    assert [value for value in bad if accepts(schema, value)] == []


@pytest.mark.parametrize(
    ("components", "good", "bad"),
    [
        ("/* @enum a b */ typedef string t;", ["a", "b"], ["c", "", "a "]),
        ("/* @pattern ^[0-9]{2}$ */ typedef string t;", ["12"], ["1", "123", "12\n"]),
        ("/* @min_length 1 \n @max_length 2 */ typedef string t;", ["a", "ää"], ["", "abc"]),
        ("/* @min_items 1 \n @max_items 2 */ typedef list<int> t;", [[1], [1, 2]], [[], [1, 2, 3]]),
        ("/* @range [1,3] */ typedef int t;", [1, 3], [0, 4]),
        ("/* @range (1,3) */ typedef int t;", [2], [1, 3]),
        ("/* @range [0,1) */ typedef float t;", [0, 0.99], [1, 1.0, -0.1]),
        ("/* @range [5,] */ typedef int t;", [5, 10**30], [4]),
        ("/* @range [,5] */ typedef int t;", [5, -(10**30)], [6]),
        ("/* @enum a b */ typedef string k; typedef mapping<k, int> t;", [{"a": 1}], [{"c": 1}, {"ab": 1}, {"a\n": 1}]),
        ("/* @pattern ^x */ typedef string k; typedef mapping<k, int> t;", [{"x": 1, "xy": 2}], [{"yx": 1}]),
    ],
)
def test_annotations(components: str, good: list[Any], bad: list[Any]) -> None:
    schema = schema_of(components)

    assert [value for value in good if not accepts(schema, value)] == []
    assert [value for value in bad if accepts(schema, value)] == []


def test_a_named_types_own_limits_replace_those_of_the_type_it_names() -> None:
    schema = schema_of("/* @max_length 9 \n @min_length 2 */ typedef string a; /* @max_length 3 */ typedef a b;")

    assert [text for text in ("x", "xx", "xxx", "xxxx") if accepts(schema, text)] == ["xx", "xxx"]


BOOLEAN = "/* @range [0,1] */ typedef int boolean;"


@pytest.mark.parametrize(("booleans", "expected"), [(True, [0, 1, True, False]), (False, [0, 1])])
def test_true_and_false_stand_for_1_and_0_as_the_policy_says(booleans: bool, expected: list[Any]) -> None:
    schema = schema_of(BOOLEAN, Policy(booleans=booleans))

    assert [value for value in (0, 1, True, False, 2, 1.0, "1", None) if accepts(schema, value)] == expected


def test_only_the_typedef_called_boolean_takes_true() -> None:
    assert not accepts(schema_of("/* @range [0,1] */ typedef int flag;"), True)
    assert not accepts(schema_of("typedef string boolean;"), True)


def test_unknown_keys_are_taken_where_the_policy_says_so() -> None:
    policy = Policy(unknown_keys="accept")

    assert accepts(schema_of("typedef structure { int a; } t;", policy), {"a": 1, "b": 2})


def test_parameters_and_results_of_methods() -> None:
    module = parse(f"""module M {{
        {BOOLEAN}
        typedef structure {{ boolean flag; }} flags;
        funcdef turn(flags params) returns (flags);
        funcdef nothing() returns ();
    }};""")
    turn, nothing = module.functions["turn"], module.functions["nothing"]

    assert accepts(parameter_schema(turn, Policy()), {"flag": True})
    assert not accepts(result_schema(turn, Policy()), {"flag": True})
    assert accepts(result_schema(turn, Policy()), {"flag": 1})
    assert accepts(parameter_schema(nothing, Policy()), {})
    assert not accepts(parameter_schema(nothing, Policy()), {"a": 1})
    assert accepts(result_schema(nothing, Policy()), None)
    assert not accepts(result_schema(nothing, Policy()), 1)
