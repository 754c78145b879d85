from pathlib import Path
from typing import Any

import click
import pytest

from execution_engine.cli.values import parse_arguments, parse_params


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NC_005816", "NC_005816"),
        ("21", 21),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ('"21"', "21"),
        ("[1, 2]", [1, 2]),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("007", "007"),
        ("NaN", "NaN"),
        ("{not json", "{not json"),
        ("a=b", "a=b"),
        (">id\nACGT", ">id\nACGT"),
        ("", ""),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_a_value_is_json_if_it_can_be_else_text(text: str, value: Any) -> None:
    assert parse_arguments((f"key={text}",)) == {"key": value}


def test_an_at_sign_takes_a_file_as_text(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("21")
    assert parse_arguments((f"fasta=@{tmp_path / 'k'}", "k=21")) == {"fasta": "21", "k": 21}


def test_a_colon_insists_on_json() -> None:
    assert parse_arguments(("k:=21", 'name:="x"')) == {"k": 21, "name": "x"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("sequence",), "'sequence' is not of the form key=value"),
        (("=x",), "'=x' is not of the form key=value"),
        (("k=1", "k=2"), "k is given twice"),
        (("k:=NC_005816",), "k is not valid JSON"),
        (("k:=NaN",), "k is not valid JSON: NaN is no JSON"),
        (("fasta=@/nowhere/x.fna",), "fasta: the file /nowhere/x.fna can't be read"),
    ],
)
def test_what_can_not_be_meant_is_refused(words: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        parse_arguments(words)
    assert complaint in refused.value.message


def test_all_parameters_as_json() -> None:
    assert parse_params('[1, {"a": 2}]') == [1, {"a": 2}]
    assert parse_params('{"a": 2}') == [{"a": 2}]
    with pytest.raises(click.UsageError, match="expected a JSON list"):
        parse_params("7")
