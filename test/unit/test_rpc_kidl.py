from pathlib import Path

import pytest

from execution_engine.rpc.kidl import KidlError, parse, parse_file
from execution_engine.rpc.model import (
    Annotations,
    Field,
    ListOf,
    MappingOf,
    Parameter,
    Range,
    Scalar,
    Structure,
    TupleOf,
    Typedef,
    Unspecified,
    resolve,
)

CONTRACT = Path(__file__).parents[2] / "spec" / "ExecutionEngine.spec"


def typedef(text: str, comment: str = "") -> Typedef:
    """The last type of a module that has the given components."""
    module = parse(f"module M {{ {comment} {text} }};")
    return list(module.typedefs.values())[-1]


def annotations(comment: str) -> Annotations:
    return typedef("typedef string t;", f"/* {comment} */").annotations


def test_the_contract_is_read_as_it_is_meant() -> None:
    module = parse_file(CONTRACT)

    assert module.name == "ExecutionEngine"
    assert module.doc.startswith("The Execution Engine: runs KBase apps as jobs")
    run_job = module.functions["run_job"]
    assert run_job.authentication == "required"
    assert run_job.heading == "submit"
    assert run_job.doc == "Submits a job and answers its id once the job is recorded durably."
    assert run_job.results == (Parameter("id", module.typedefs["job_id"]),)
    assert module.functions["status"].authentication == "none"
    assert module.functions["list_config"].authentication == "optional"
    params = resolve(run_job.parameters[0].type)
    assert isinstance(params, Structure)
    assert [field.name for field in params.fields if not field.optional] == ["method"]
    assert module.typedefs["job_id"].annotations == Annotations(pattern="^[0-9a-f]{24}$")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("string", Scalar("string")),
        ("int", Scalar("int")),
        ("float", Scalar("float")),
        ("UnspecifiedObject", Unspecified()),
        ("list<int>", ListOf(Scalar("int"))),
        ("list<list<UnspecifiedObject>>", ListOf(ListOf(Unspecified()))),
        ("mapping<string, int>", MappingOf(Scalar("string"), Scalar("int"))),
        ("mapping<string name, list<int> numbers>", MappingOf(Scalar("string"), ListOf(Scalar("int")))),
        ("tuple<int x, float>", TupleOf((Parameter("x", Scalar("int")), Parameter(None, Scalar("float"))))),
        (
            "structure { int a; string b-c; }",
            Structure((Field("a", Scalar("int"), optional=False), Field("b-c", Scalar("string"), optional=False))),
        ),
        ("structure { }", Structure(())),
    ],
)
def test_types(text: str, expected: object) -> None:
    assert typedef(f"typedef {text} t;").target == expected


def test_names_of_types_stand_for_the_types_themselves() -> None:
    module = parse("module M { typedef string id; typedef list<id> ids; typedef M.ids more; };")

    assert module.typedefs["ids"].target == ListOf(module.typedefs["id"])
    assert module.typedefs["more"].target is module.typedefs["ids"]


def test_words_with_a_meaning_in_one_place_are_names_in_others() -> None:
    module = parse("""
        module none {
            typedef int optional;
            typedef structure { optional required; none.optional async; } async;
            async funcdef required(async optional) returns (optional none);
        };
    """)

    function = module.functions["required"]
    assert function.parameters == (Parameter("optional", module.typedefs["async"]),)
    assert function.results == (Parameter("none", module.typedefs["optional"]),)


def test_authentication_is_the_functions_own_or_that_of_the_section_above_it() -> None:
    module = parse("""
        module M {
            funcdef before() returns ();
            authentication required;
            funcdef section() returns ();
            funcdef own() returns () authentication none;
            authentication optional;
            funcdef later(int) returns (int, string s);
        };
    """)

    levels = {name: function.authentication for name, function in module.functions.items()}
    assert levels == {"before": "none", "section": "required", "own": "none", "later": "optional"}


def test_a_comment_belongs_to_what_comes_next_and_the_last_one_wins() -> None:
    module = parse("""
        /* Of the module. */
        module Service:M {
            typedef int first;
            /* ---- numbers ---- */
            /**
             * Of the second,
             *   in two lines.
             */
            typedef int /* Of nothing. */ second;
            funcdef third() returns ();
            /* Of the fourth. @optional is no annotation here. */
            async funcdef fourth() returns ();
        };
        /* Behind everything. */
    """)

    assert module.doc == "Of the module."
    assert module.typedefs["first"].doc == ""
    assert module.typedefs["second"].doc == "Of the second,\nin two lines."
    assert module.functions["third"].doc == ""
    assert module.functions["fourth"].doc == "Of the fourth. @optional is no annotation here."
    assert module.functions["fourth"].heading == "numbers"


def test_annotations_are_no_part_of_the_text() -> None:
    read = typedef(
        "typedef string t;",
        """/* A name.
              @pattern ^[a-z]+ [0-9]$
              @min_length 1
              @max_length 20
              @enum one two
              @min_items 0
              @max_items 3
              @unheard of
              It ends here. */""",
    )

    assert read.doc == "A name.\nIt ends here."
    assert read.annotations == Annotations(
        pattern="^[a-z]+ [0-9]$", min_length=1, max_length=20, enum=("one", "two"), min_items=0, max_items=3
    )


def test_optional_fields_may_be_named_in_several_lines() -> None:
    read = typedef("typedef structure { int a; int b; int c; } t;", "/* @optional a\n @optional c */")

    assert isinstance(read.target, Structure)
    assert {field.name: field.optional for field in read.target.fields} == {"a": True, "b": False, "c": True}


def test_optional_above_another_type_says_nothing() -> None:
    assert typedef("typedef list<int> t;", "/* @optional a */").target == ListOf(Scalar("int"))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[0,10]", Range(0, 10)),
        ("0,10", Range(0, 10)),
        ("( 0 , 10 )", Range(0, 10, low_included=False, high_included=False)),
        ("]0,10[", Range(0, 10, low_included=False, high_included=False)),
        ("[-1.5,1e3)", Range(-1.5, 1000.0, high_included=False)),
        ("[0,]", Range(0, None)),
        ("(,10]", Range(None, 10, low_included=False)),
        ("5", Range(5, None)),
    ],
)
def test_ranges(written: str, expected: Range) -> None:
    assert annotations(f"@range {written}").range == expected


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("@range", "@range : expected two bounds, as in [0,100]"),
        ("@range [1,2,3]", "@range [1,2,3]: expected two bounds"),
        ("@range [2,1]", "the lower bound is above the upper one"),
        ("@range [nan,1]", "@range: nan is no number"),
        ("@enum", "@enum names no values"),
        ("@pattern [", "@pattern [ is no regular expression"),
        ("@max_length many", "@max_length many: expected a whole number"),
        ("@min_items -1", "@min_items -1: expected a whole number"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_named_with_its_line(comment: str, message: str) -> None:
    with pytest.raises(KidlError) as caught:
        parse(f"module M {{\n  /* {comment} */ typedef string t; }};", source="my.spec")

    assert str(caught.value).startswith("my.spec:2:3: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s: no module in it"),
        ("modul M { };", "s:1:1: found 'modul', expected #include, module or the end of the file"),
        ("module { };", "s:1:8: found '{', expected a name"),
        ("module M {\n  typedef int x\n};", "s:3:1: found '}', expected ;"),
        ("module M {\n  typedef int x;\n", "s:2:17: found the end of the file, expected"),
        ("module M {\n  typedef int x; ? };", "s:2:18: found '?', expected"),
        ("module M {\n  /* never closed\n };", "s:2:3: found a comment that is never closed"),
        ("module M { typedef list<id> x; };", "s:1:25: there is no type id above this line"),
        ("module M { typedef Other.id x; };", "s:1:20: there is no module Other; include its file first"),
        ("module M { typedef int x; typedef int x; };", "s:1:39: the type x is defined twice"),
        ("module M { funcdef f() returns (); funcdef f() returns (); };", "the function f is defined twice"),
        ("module M { typedef structure { int a; int a; } x; };", "s:1:43: the field a is there twice"),
        (
            "module M { /* @optional b */ typedef structure { int a; } x; };",
            "@optional names b, but x has no such field",
        ),
        (
            "module M { funcdef f() returns () authentication maybe; };",
            "found 'maybe', expected none, optional or required",
        ),
        ("#include <other.spec>\nmodule M { };", "s: includes other.spec, but there is no folder to look in"),
    ],
)
def test_what_is_no_kidl_is_refused_with_place_and_expectation(text: str, message: str) -> None:
    with pytest.raises(KidlError) as caught:
        parse(text, source="s")

    assert message in str(caught.value)


def test_types_come_from_included_files_and_from_modules_above(tmp_path: Path) -> None:
    (tmp_path / "common.spec").write_text("module Common { typedef string name; };")
    (tmp_path / "main.spec").write_text("""
        #include <common.spec>
        module Parts { typedef int count; };
        module Main { typedef mapping<Common.name, Parts.count> counts; };
    """)

    module = parse_file(tmp_path / "main.spec")

    assert module.name == "Main"
    counts = module.typedefs["counts"].target
    assert isinstance(counts, MappingOf)
    assert (resolve(counts.key), resolve(counts.value)) == (Scalar("string"), Scalar("int"))


def test_a_fault_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "broken.spec").write_text("module Broken {")
    (tmp_path / "main.spec").write_text("#include <broken.spec>\nmodule Main { };")

    with pytest.raises(KidlError, match=r"^broken\.spec:1:"):
        parse_file(tmp_path / "main.spec")
