from typing import Any

import pytest

from execution_engine.core.errors import InvalidParams
from execution_engine.rpc.kidl import parse
from execution_engine.rpc.model import Unspecified
from execution_engine.rpc.schema import Policy, type_schema
from execution_engine.rpc.validation import Check, check_text

MODULE = parse(r"""
module M {
  /* @range [0,1] */
  typedef int boolean;

  /* 24 hexadecimal digits; ids sort by age.
     @pattern ^[0-9a-f]{24}$ */
  typedef string job_id;

  /* @pattern ^[a-z]+\.[a-z]+$
     @max_length 20 */
  typedef string method_name;

  /* @range [1,1000] */
  typedef int page_size;

  /* @enum asc desc */
  typedef string order;

  /* @min_items 1
     @max_items 3 */
  typedef list<job_id> job_ids;

  /* @optional params */
  typedef structure {
    method_name method;
    list<UnspecifiedObject> params;
  } batch_job;

  /* @range (0,] */
  typedef float above_zero;

  /* @optional jobs ids limit flag order env free pair above children note */
  typedef structure {
    job_id job_id;
    list<batch_job> jobs;
    job_ids ids;
    page_size limit;
    boolean flag;
    order order;
    mapping<string, string> env;
    UnspecifiedObject free;
    tuple<int, string> pair;
    above_zero above;
    mapping<order, int> children;
    string note;
  } everything;

  typedef structure { } nothing;
};
""")
EVERYTHING = MODULE.typedefs["everything"]
JOB_ID = "68e5f0a1b2c3d4e5f6a7b8c9"
A_JOB_ID = "a string matching ^[0-9a-f]{24}$ (job_id: 24 hexadecimal digits; ids sort by age)"

check = Check(type_schema(EVERYTHING, Policy()), "params")


def complaint(value: dict[str, Any]) -> str:
    with pytest.raises(InvalidParams) as caught:
        check(value)
    return caught.value.message


def test_what_fits_passes_and_is_left_as_it_is() -> None:
    value = {
        "job_id": JOB_ID,
        "jobs": [{"method": "a.b", "params": [{"$set": 10**40}, None]}],
        "flag": True,
        "env": {"": ""},
        "pair": [1, "x"],
        "children": {"asc": 1},
    }
    before = repr(value)

    check(value)

    assert repr(value) == before


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"job_id": "xyz"}, f"params.job_id: expected {A_JOB_ID}, found 'xyz'"),
        ({"job_id": f"{JOB_ID}\n"}, f"params.job_id: expected {A_JOB_ID}, found '68e5f0a1'… (25 characters)"),
        ({"job_id": None}, f"params.job_id: expected {A_JOB_ID}, found null"),
        ({}, f"params.job_id: missing; expected {A_JOB_ID}"),
        ({"jobid": JOB_ID}, "params: unknown field 'jobid'; did you mean job_id?"),
        (
            {"job_id": JOB_ID, "jobs": [{"method": "a.b"}] * 3 + [{"method": "run"}]},
            r"params.jobs[3].method: expected a string of at most 20 characters matching ^[a-z]+\.[a-z]+$, found 'run'",
        ),
        ({"job_id": JOB_ID, "jobs": [7]}, "params.jobs[0]: expected an object, found 7"),
        ({"job_id": JOB_ID, "jobs": {}}, "params.jobs: expected an array, found an object"),
        (
            {"job_id": JOB_ID, "jobs": [{"method": "a.b", "zzz": 1}]},
            "params.jobs[0]: unknown field 'zzz'; known are method, params",
        ),
        ({"job_id": JOB_ID, "ids": []}, "params.ids: expected an array of 1 to 3 items, found an array of 0 items"),
        (
            {"job_id": JOB_ID, "ids": [JOB_ID] * 4},
            "params.ids: expected an array of 1 to 3 items, found an array of 4 items",
        ),
        ({"job_id": JOB_ID, "limit": 0}, "params.limit: expected an integer from 1 to 1000, found 0"),
        ({"job_id": JOB_ID, "limit": 5.0}, "params.limit: expected an integer from 1 to 1000, found 5.0"),
        ({"job_id": JOB_ID, "limit": True}, "params.limit: expected an integer from 1 to 1000, found true"),
        (
            {"job_id": JOB_ID, "limit": 10**50},
            "params.limit: expected an integer from 1 to 1000, found 10000000000000000000000…",
        ),
        ({"job_id": JOB_ID, "flag": 2}, "params.flag: expected 0, 1, true or false, found 2"),
        ({"job_id": JOB_ID, "order": "up"}, "params.order: expected one of asc, desc, found 'up'"),
        ({"job_id": JOB_ID, "env": {"a.b": []}}, "params.env.a.b: expected a string, found an array of 0 items"),
        ({"job_id": JOB_ID, "env": {"{0}%s": [1]}}, "params.env.{0}%s: expected a string, found an array of 1 item"),
        ({"job_id": JOB_ID, "pair": [1]}, "params.pair: expected an array of 2 items, found an array of 1 item"),
        ({"job_id": JOB_ID, "above": 0}, "params.above: expected a number above 0, found 0"),
        ({"job_id": JOB_ID, "children": {"up": 1}}, "params.children: unknown field 'up'; known are asc, desc"),
    ],
)
def test_the_message_names_the_place_what_was_expected_and_what_was_found(value: dict[str, Any], message: str) -> None:
    assert complaint(value) == message


def test_a_structure_without_fields_says_so() -> None:
    with pytest.raises(InvalidParams, match=r"^params: unknown field 'a'; no fields are known here$"):
        Check(type_schema(MODULE.typedefs["nothing"], Policy()), "params")({"a": 1})


def test_a_secret_in_the_wrong_place_is_not_repeated() -> None:
    secret = "JOZ2LBRIGZ3KZS3WLVOZPGQ4VTCR2QWE"

    assert secret not in complaint({"job_id": secret})
    assert secret not in complaint({"job_id": JOB_ID, secret: 1})


def test_the_message_stays_short_whatever_was_sent() -> None:
    long = "k" * 1_000_000

    assert len(complaint({"job_id": long})) < 300
    assert len(complaint({"job_id": JOB_ID, long: 1})) < 300
    assert len(complaint({"job_id": JOB_ID, "env": {long: 1}})) < 300


HALF = "\ud800"
HALF_FAULT = r"has half of a surrogate pair, \ud800, which is no character"
NUL_FAULT = r"has the character NUL (\u0000), which is not allowed here"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"note": f"a{HALF}"}, f"params.note: {HALF_FAULT}"),
        ({"note": "a\0"}, f"params.note: {NUL_FAULT}"),
        ({"jobs": [{}, {"method": "\0"}]}, f"params.jobs[1].method: {NUL_FAULT}"),
        ({"jobs": [{"params": [HALF]}]}, f"params.jobs[0].params[0]: {HALF_FAULT}"),
        ({"free": {"deep": [{HALF: 1}]}}, rf"the key '\ud800' in params.free.deep[0]: {HALF_FAULT}"),
        ({"env": {"\0": ""}}, rf"the key '\x00' in params.env: {NUL_FAULT}"),
        ({"env": {"a": "\0"}}, f"params.env.a: {NUL_FAULT}"),
        ({"pair": [1, "\0"]}, f"params.pair[1]: {NUL_FAULT}"),
        ({HALF: 1}, rf"the key '\ud800' in params: {HALF_FAULT}"),
    ],
)
def test_text_that_cannot_be_kept_is_refused(value: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        check_text(value, EVERYTHING, "params")

    assert caught.value.message == message


@pytest.mark.parametrize(
    "value",
    [
        {"free": "\0"},
        {"free": {"\0": ["\0"]}},
        {"jobs": [{"params": ["\0", {"\0": 1}]}]},
        {"note": "\U0001f600 and so on"},
        {"note": 1, "pair": [1, "a", "more\0"], "jobs": "no list"},
        {"unknown": "\0"},
    ],
)
def test_nul_is_legal_where_anything_is(value: dict[str, Any]) -> None:
    check_text(value, EVERYTHING, "params")


def test_text_of_an_unspecified_object_is_checked_for_surrogates_alone() -> None:
    check_text("\0", Unspecified(), "params")
    with pytest.raises(InvalidParams):
        check_text(HALF, Unspecified(), "params")
