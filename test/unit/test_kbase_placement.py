import pytest

from execution_engine.core.errors import AppMisconfigured
from execution_engine.kbase.placement import Placement, read_placement

BIG = Placement("bigmem", {"cpus": 8, "memory_mb": 2000, "disk_gb": 30})


@pytest.mark.parametrize(
    "texts",
    [
        ["bigmem", "request_cpus=8", "request_memory=2000", "request_disk=30"],
        ["bigmem", "request_cpus=8", "request_memory=2000M", "request_disk=30GB"],
        [" bigmem ", " request_cpus = 8 ", "request_memory= 2000MB", "request_disk =30 GB "],
        ["bigmem,request_cpus=8, request_memory=2000M,request_disk=30G"],
        ["njs", "client_group=bigmem", "request_cpus=1", "request_cpus=8", "request_memory=2000", "request_disk=30"],
        ["bigmem", "", " ", "request_cpus=8", "request_memory=2000", "request_disk=30", "debug_mode="],
        ["bigmem", "request_cpus=8", "request_memory=2000", "request_disk=30", "client_group_regex=FALSE"],
        ['{"client_group": "bigmem", "request_cpus": 8, "request_memory": 2000, "request_disk": 30}'],
        ['{"client_group": " bigmem", "request_cpus": "8", "request_memory": "2000M", "request_disk": "30GB"}'],
        ['{"client_group": "bigmem"', '"request_cpus": 8', '"request_memory": 2000', '"request_disk": 30}'],
        ['{"request_cpus": 8, "client_group_regex": false}', '{"client_group": "bigmem"}',
         '{"request_memory": 2000, "request_disk": 30, "debug_mode": "True"}'],
        ['{" client_group ": "bigmem", "request_cpus": 8, "request_memory": 2000, "request_disk": 30, "x": null}'],
    ],
)  # fmt: skip
def test_both_forms_say_the_same(texts: list[str]) -> None:
    assert read_placement(texts, "a.b") == BIG


@pytest.mark.parametrize("texts", [[], [""], ["", " "], ["{}"], [" ", "client_group="]])
def test_nothing_said_is_nothing_asked(texts: list[str]) -> None:
    assert read_placement(texts, "a.b") == Placement()


def test_what_is_unsaid_stays_open() -> None:
    assert read_placement(["njs"], "a.b") == Placement("njs")
    assert read_placement(["", "request_cpus=4"], "a.b") == Placement(None, {"cpus": 4})


@pytest.mark.parametrize(
    "texts", [["njs", "color=blue", "x.y=a/b:c+1"], ['{"client_group": "njs", "color": "blue", "x.y": "a/b:c+1"}']]
)
def test_other_keys_are_constraints(texts: list[str]) -> None:
    assert read_placement(texts, "a.b").constraints == {"color": "blue", "x.y": "a/b:c+1"}


def test_json_values_are_words() -> None:
    assert read_placement(['{"n": 3, "yes": true}'], "a.b").constraints == {"n": "3", "yes": "true"}


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["request_cpus=4"], "expected the client group first, found 'request_cpus=4'"),
        (["njs", "LowMemory"], "after the client group comes key=value, found 'LowMemory'"),
        (["njs; rm -rf"], "client_group is 'njs; rm -rf'"),
        (["njs", "request_cpus=four"], "request_cpus is 'four', expected a whole number"),
        (["njs", "request_cpus=0"], "request_cpus is '0'"),
        (["njs", "request_cpus=-4"], "request_cpus is '-4'"),
        (["njs", "request_cpus=٤"], "request_cpus is '٤'"),
        (["njs", "request_memory=2G"], "request_memory is '2G', expected megabytes"),
        (["njs", "request_disk=30TB"], "request_disk is '30TB', expected gigabytes"),
        (["njs", "request_disk=99999999999"], "request_disk is '99999999999'"),
        (["njs", "client_group_regex=maybe"], "client_group_regex is 'maybe', expected true or false"),
        (["njs", 'color=a" || true'], 'color=a" || true has characters other than'),
        (["njs", "a b=c"], "a b=c has characters"),
        (["njs", "=c"], "=c has characters"),
        (['{"request_cpus": 8.0}'], "request_cpus is 8.0"),
        (['{"request_cpus": true}'], "request_cpus is True"),
        (['{"request_cpus": [8]}'], r"request_cpus is [8]"),
        (['{"client_group": 7}'], "client_group is 7"),
        (['{"x": {"y": 1}}'], "x={'y': 1} has characters"),
        (['{"request_cpus": 8'], "it begins like JSON and is none"),
        (['{"request_cpus": 8}', "njs"], "it begins like JSON and is none"),
        (['{"request_cpus": 8}', '"njs"'], 'expected JSON objects, one of them is "njs"'),
        (["{" * 100_000], "it begins like JSON and is none"),
    ],
)
def test_what_can_not_be_used_is_refused_with_the_place(texts: list[str], problem: str) -> None:
    with pytest.raises(AppMisconfigured) as raised:
        read_placement(texts, "module.function")
    message = raised.value.message
    assert message.startswith(f"The Catalog's client groups of module.function can't be used: {problem}")
    assert message.endswith("An administrator of the Catalog can mend that (set_client_group_config).")
    assert len(message) < 1_000
