from typing import Any

import pytest

from execution_engine.core.errors import InternalError, InvalidParams, MethodNotFound, TokenMissing
from execution_engine.rpc.kidl import parse
from execution_engine.rpc.registry import Access, Policy, Registry
from execution_engine.rpc.voices import NativeVoice

MODULE = parse("""
module Sums {
  /* @optional b */
  typedef structure { int a; int b; } numbers;
  funcdef add(numbers params) returns (int sum) authentication required;
  funcdef reset() returns () authentication required;
  funcdef ver() returns (string) authentication none;
};
""")


def admit(authorization: str | None) -> str:
    if authorization is None:
        raise TokenMissing
    return f"user of {authorization}"


USERS = Access("user", "Every user.", admit)
ANYONE = Access("anyone", "Everybody.", lambda _: None, "none")


def add(_caller: str, params: dict[str, Any]) -> int:
    return int(params["a"]) + int(params.get("b", 0))


@pytest.fixture
def registry() -> Registry:
    registry = Registry(MODULE, Policy(), NativeVoice())
    registry.add("ver", lambda _caller, _params: "1", ANYONE)
    registry.add("add", add, USERS)
    registry.add("reset", lambda caller, params: [caller, params], USERS)
    return registry


def test_a_method_is_found_with_and_without_its_module(registry: Registry) -> None:
    assert registry.find("Sums.add") is registry.find("add") is registry.methods["add"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Sums.ad", "There is no method 'ad' in Sums; did you mean add?"),
        ("zzz", "There is no method 'zzz' in Sums."),
        ("", "There is no method '' in Sums."),
        ("Other.add", "There is no module 'Other' at this path; it serves Sums."),
        (".add", "There is no module '' at this path; it serves Sums."),
        ("sums.add", "There is no module 'sums' at this path; it serves Sums."),
    ],
)
def test_an_unknown_method_is_refused_by_name(registry: Registry, name: str, message: str) -> None:
    with pytest.raises(MethodNotFound) as caught:
        registry.find(name)

    assert caught.value.message == message


def test_a_very_long_method_name_makes_a_short_message(registry: Registry) -> None:
    for name in ("x" * 1_000_000, "x." * 500_000):
        with pytest.raises(MethodNotFound) as caught:
            registry.find(name)
        assert len(caught.value.message) < 200


def test_methods_are_listed_in_the_order_of_the_spec(registry: Registry) -> None:
    assert [method.function.name for method in registry.methods_in_order()] == ["add", "reset", "ver"]


def test_the_caller_and_the_structure_reach_the_handler(registry: Registry) -> None:
    assert registry.find("add").call("me", [{"a": 1, "b": 2}]) == 3
    assert registry.find("reset").call("me", None) == ["user of me", {}]


@pytest.mark.parametrize("params", [[{"a": 1}], {"a": 1}])
def test_the_structure_may_stand_in_an_array_or_alone(registry: Registry, params: Any) -> None:
    assert registry.find("add").call("me", params) == 1


@pytest.mark.parametrize("params", [None, [], {}, [{}]])
def test_a_method_without_parameters_takes_every_form_of_none(registry: Registry, params: Any) -> None:
    assert registry.find("reset").call("me", params) == ["user of me", {}]


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("add", None, "params.a: missing; expected an integer"),
        ("add", [{}], "params.a: missing; expected an integer"),
        ("add", [{"a": "1"}], "params.a: expected an integer, found '1'"),
        ("add", [{"a": 1}, {"a": 2}], "params: add takes one structure, found 2 values"),
        ("add", [1], "params: expected an array that holds one object, found 1"),
        ("add", [None], "params: expected an array that holds one object, found null"),
        ("add", "a", "params: expected an array that holds one object, found 'a'"),
        ("reset", [{"a": 1}], "params: reset takes no parameters"),
        ("reset", [1], "params: expected an array that holds one object, found 1"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(registry: Registry, name: str, params: Any, message: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        registry.find(name).call("me", params)

    assert caught.value.message == message


def test_who_is_not_admitted_learns_nothing_about_the_parameters(registry: Registry) -> None:
    for params in ([{"wrong": 1}], [1, 2], "wrong"):
        with pytest.raises(TokenMissing):
            registry.find("add").call(None, params)


def test_text_is_looked_at_unless_it_is_known_to_be_harmless() -> None:
    module = parse("module N { typedef structure { string text; } t; funcdef name(t p) returns (string); };")
    registry = Registry(module, Policy(), NativeVoice())
    registry.add("name", lambda _caller, params: params["text"], ANYONE)
    with pytest.raises(InvalidParams, match="NUL"):
        registry.find("name").call("me", [{"text": "\0"}])
    assert registry.find("name").call("me", [{"text": "\0"}], odd_text=False) == "\0"


def test_what_is_no_parameter_at_all_is_refused_before_its_text_is_looked_at(registry: Registry) -> None:
    with pytest.raises(InvalidParams, match=r"expected an integer, found '\\x00'"):
        registry.find("add").call("me", [{"a": 1, "b": "\0"}])


def test_a_result_can_be_held_against_the_spec(registry: Registry) -> None:
    method = registry.find("add")

    method.check_result(3)
    with pytest.raises(InternalError, match="add answers what its spec does not say: result: expected an integer"):
        method.check_result("3")


def test_spec_and_code_must_agree() -> None:
    registry = Registry(MODULE, Policy(), NativeVoice())
    registry.add("add", add, USERS)

    with pytest.raises(ValueError, match=r"^in the spec of Sums, but bound to no code: reset, ver$"):
        registry.check_complete()
    with pytest.raises(ValueError, match=r"^subtract is not in the spec of Sums$"):
        registry.add("subtract", add, USERS)
    with pytest.raises(ValueError, match=r"^resett is not in the spec of Sums; did you mean reset\?$"):
        registry.add("resett", add, USERS)
    with pytest.raises(ValueError, match="add is bound twice"):
        registry.add("add", add, USERS)
    with pytest.raises(
        ValueError, match="ver: the spec says authentication none, its access rule 'user' says required"
    ):
        registry.add("ver", add, USERS)


def test_a_complete_registry_passes(registry: Registry) -> None:
    registry.check_complete()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("funcdef f(int a) returns ();", "f: expected at most one parameter, a structure"),
        ("funcdef f(structure { int a; } a, structure { int b; } b) returns ();", "f: expected at most one parameter"),
        ("funcdef f() returns (int, int);", "f: expected at most one returned value, found 2"),
    ],
)
def test_a_method_takes_at_most_one_structure_and_returns_at_most_one_value(function: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Registry(parse(f"module M {{ {function} }};"), Policy(), NativeVoice())
