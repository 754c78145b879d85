import json
import re
from pathlib import Path

import pytest

from execution_engine.core.errors import JobNotFound, all_errors
from execution_engine.rpc.examples import example
from execution_engine.rpc.kidl import parse, parse_file
from execution_engine.rpc.model import Module
from execution_engine.rpc.reference import render_reference
from execution_engine.rpc.registry import Access, Policy, Registry
from execution_engine.rpc.schema import parameter_schema
from execution_engine.rpc.validation import Check
from execution_engine.rpc.voices import NativeVoice

CONTRACT = Path(__file__).parents[2] / "spec" / "ExecutionEngine.spec"
EXAMPLES = {
    "job_id": "68e5f0a1b2c3d4e5f6a7b8c9",
    "method_name": "sequence_tools.assembly_stats",
    "runner_id": "Jq3vZ8xkT0aYw5Lm",
    "backend_name": "local",
    "user_name": "bob",
}

LIBRARY = parse("""
/* Lends books. */
module Library {
  /* Three letters.
     @pattern ^[a-z]{3}$ */
  typedef string shelf;
  /* @enum new used */
  typedef string state;
  /* @min_items 1
     @max_items 5 */
  typedef list<shelf> shelves;
  /* What is lent. */
  typedef structure { string title; tuple<int, float> size; mapping<shelf, int> copies; } book;
  typedef UnspecifiedObject anything;
  /* Asks for books. Every field may be left out.
     state: of the book; note: free
     text. note goes nowhere.
     @optional state note more */
  typedef structure { shelves shelves; state state; string note; structure { int a; } more; } wish;

  /* ---- lending ---- */

  /* Lends a book. It should come back. */
  funcdef lend(wish params) returns (list<book> books) authentication required;
  funcdef give_back() returns ();

  /* ---- talking ---- */

  /* Is | anybody there? */
  funcdef hello(structure { int loud; } how) returns (string) authentication none;
};
""")


def registry_for(module: Module) -> Registry:
    registry = Registry(module, Policy(), NativeVoice())
    for name, function in module.functions.items():
        rule = Access(f"rule {function.authentication}", "As it says.", lambda _: None, function.authentication)
        registry.add(name, lambda _, __: None, rule)
    return registry


def library() -> str:
    return render_reference(registry_for(LIBRARY), [JobNotFound], {"shelf": "abc"})


def section(text: str, heading: str) -> str:
    return re.split(r"\n(?=#|<a)", text.split(f"### {heading}\n")[1])[0]


def test_the_overview_names_every_method_with_its_rule() -> None:
    text = library()

    assert text.startswith("# Library\n\nLends books.\n\n| method | what it does | who may call it |\n")
    assert "| [lend](#lend) | Lends a book. | rule required |" in text
    assert "| [hello](#hello) | Is \\| anybody there? | rule none |" in text


def test_methods_stand_under_the_headings_of_the_spec() -> None:
    headings = re.findall(r"^##? .*", library(), re.MULTILINE)

    assert headings == ["# Library", "## Lending", "## Talking", "## Types", "## Errors"]


def test_a_methods_entry_says_everything_about_it() -> None:
    entry = section(library(), "lend")

    assert "Lends a book. It should come back." in entry
    assert "Who may call it: rule required (As it says.)." in entry
    assert "Asks for books. Every field may be left out." in entry
    assert "| `shelves` | [shelves](#type-shelves) | yes |  |" in entry
    assert "| `state` | [state](#type-state) | no | of the book |" in entry
    assert "| `note` | string | no | free text. note goes nowhere |" in entry
    assert "| `more` | structure of a | no |  |" in entry
    assert "Returns: list of [book](#type-book)." in entry
    request = json.loads(entry.split("```json\n")[1].split("```")[0])
    assert request == {"jsonrpc": "2.0", "id": 1, "method": "Library.lend", "params": {"shelves": ["abc"]}}


def test_a_method_without_parameters_and_result() -> None:
    entry = section(library(), "give_back")

    assert "Parameters: none." in entry
    assert "Returns: nothing." in entry
    assert "params" not in entry.split("```json")[1]


def test_types_are_described_in_words() -> None:
    text = library()

    assert "A string matching ^[a-z]{3}$." in section(text, "shelf")
    assert "Three letters." in section(text, "shelf")
    assert "One of new, used." in section(text, "state")
    assert "List of [shelf](#type-shelf): 1 to 5 items." in section(text, "shelves")
    assert "Any JSON value." in section(text, "anything")
    assert "tuple of integer, number" in section(text, "book")
    assert "mapping from [shelf](#type-shelf) to integer" in section(text, "book")


def test_errors_are_listed() -> None:
    assert "| -32100 | `job_not_found` | There is no such job, or the caller may not read it. |" in library()


def test_examples_of_every_kind_of_type() -> None:
    book = LIBRARY.typedefs["book"]

    assert example(book, {"shelf": "abc"}) == {"title": "text", "size": [1, 0.5], "copies": {"abc": 1}}
    assert example(LIBRARY.typedefs["state"], {}) == "new"
    assert example(LIBRARY.typedefs["anything"], {}) == {}


def test_a_pattern_needs_an_example() -> None:
    with pytest.raises(ValueError, match="there is no example for shelf, which has a pattern"):
        example(LIBRARY.typedefs["shelf"], {})


def test_the_reference_of_the_contract_is_always_the_same_and_its_examples_are_good() -> None:
    module = parse_file(CONTRACT)

    text = render_reference(registry_for(module), all_errors(), EXAMPLES)

    assert text == render_reference(registry_for(parse_file(CONTRACT)), all_errors(), EXAMPLES)
    assert [name for name in module.functions if f"\n### {name}\n" not in text] == []
    for function in module.functions.values():
        params = example(function.parameters[0].type, EXAMPLES) if function.parameters else {}
        Check(parameter_schema(function, Policy()), "params")(params)
