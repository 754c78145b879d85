from pathlib import Path
from typing import Any

import classad2
import pytest

from execution_engine.backends.base import Requirements, Submission
from execution_engine.backends.condor import language
from execution_engine.backends.condor.description import GROUP, LIMIT, TAG, Form, client_group
from execution_engine.backends.condor.groups import Groups
from execution_engine.backends.condor.ids import is_id, schedd, submitted_at
from execution_engine.backends.options import Options
from execution_engine.config import BackendSettings
from execution_engine.core.errors import ConfigurationError

HOSTILE = 'it\'s "a" `name`; $(touch bad) $HOME @me %s \\ é 漢 \t and\na new line'
JOB = "0123456789abcdef01234567"


def form(**changes: Any) -> Form:
    return Form(
        **{"runner": Path("/data/runner.pyz"), "worker_url": "http://e/", "engine": "e", "groups": Groups()} | changes
    )


def submission(**changes: Any) -> Submission:
    values = {
        "tag": f"ee.{JOB}.1",
        "job_id": JOB,
        "attempt": 1,
        "ticket": "eet_secret",
        "requirements": Requirements(2, 300, 4),
        "client_group": "njs",
        "user": "alice",
    }
    return Submission(**values | changes)


def groups(**written: str) -> Groups:
    options = {name.replace("__", ".").replace("_", "-"): value for name, value in written.items()}
    return Groups.from_options(Options(BackendSettings("pool", "condor", options)), "[backend:pool]")


def test_requirements_are_in_the_units_of_htcondor() -> None:
    variables = form().variables(submission(time_limit_s=60))
    assert (variables["cpus"], variables["memory_mb"], variables["disk_kb"]) == ("2", "300", "4194304")
    assert variables["limit_s"] == "60"
    assert form().variables(submission())["limit_s"] == "0"


def test_the_ticket_is_in_no_line_of_the_description() -> None:
    assert not any("ticket)" in line for line in form().description().values())
    variables = form().variables(submission())
    assert [name for name, value in variables.items() if "secret" in value] == ["ticket"]


def test_what_a_user_chooses_reaches_no_language() -> None:
    variables = form().variables(submission(client_group=HOSTILE, user=HOSTILE))
    assert variables["user"].replace("_", "").replace("-", "").isalnum()
    assert variables["group"].isascii()
    assert not set(variables["group"]) & set("\"'$()\\\n\t `;")
    assert client_group(variables["group"]) == HOSTILE


def test_the_url_arrives_whole() -> None:
    arguments = form(worker_url="http://e/?a='b'&c=\"d\" $(x)").description()["arguments"]
    assert arguments.startswith("\"'-I' '-S' 'runner.pyz' '--url' 'http://e/?a=''b''&c=\"\"d\"\" $(DOLLAR)(x)' '--job'")
    with pytest.raises(ValueError, match="can't be printed"):
        language.literal("a\nb")


def test_a_job_is_removed_when_it_would_start_again_or_runs_too_long_or_never_gets_its_files() -> None:
    policy = classad2.ExprTree(form().description()["periodic_remove"])

    def removes(**attributes: int) -> bool:
        ad = classad2.ClassAd({LIMIT: 0, "EnteredCurrentStatus": 1, **attributes})
        ad["it"] = policy
        return bool(ad.eval("it"))

    assert not removes(JobStatus=1)
    assert removes(JobStatus=1, NumShadowStarts=1)
    assert removes(JobStatus=5, NumShadowStarts=1)
    assert not removes(JobStatus=5, HoldReasonCode=1)
    assert removes(JobStatus=5, HoldReasonCode=16)
    assert not removes(JobStatus=2, NumShadowStarts=1, JobCurrentStartExecutingDate=1)
    assert removes(JobStatus=2, NumShadowStarts=1, JobCurrentStartExecutingDate=1, **{LIMIT: 10})
    assert not removes(JobStatus=2, NumShadowStarts=1, **{LIMIT: 10})


@pytest.mark.parametrize(
    ("written", "group", "slots"),
    [
        ({}, "njs", "true"),
        ({"group_attribute": "CLIENTGROUP"}, "njs", '(CLIENTGROUP == "njs")'),
        ({"group_attribute": "CLIENTGROUP"}, 'a"b', '(CLIENTGROUP == "a\\"b")'),
        ({"requirements": "HasKbase"}, "njs", "(HasKbase)"),
        ({"requirements": "HasKbase", "group_attribute": "G"}, "njs", '(HasKbase) && (G == "njs")'),
        ({"requirements__bigmem": "Memory > 9", "group_attribute": "G"}, "BigMem", "(Memory > 9)"),
        ({"requirements__bigmem": "Memory > 9", "group_attribute": "G"}, "njs", '(G == "njs")'),
    ],
)
def test_a_group_is_a_name_that_slots_have_or_what_the_operator_wrote(
    written: dict[str, str], group: str, slots: str
) -> None:
    assert groups(**written).slots_of(group) == slots


def test_what_an_app_wants_of_a_machine_is_required_where_a_machine_can_have_it() -> None:
    wants = {"Arch": "X86_64", "scratch/disk": "fast"}
    assert form().variables(submission(constraints=wants))["slots"] == 'true && TARGET.Arch == "X86_64"'


def test_shares_and_limits_are_those_of_the_group_or_of_all() -> None:
    written = groups(
        accounting_group="group_kbase", accounting_group__bigmem="group_kbase.big", concurrency_limits__bigmem="DB:2, X"
    )
    variables = form(groups=written).variables(submission())
    assert (variables["accounting_group"], variables["user"], variables["limits"]) == ("group_kbase", "alice", "")
    assert written.accounting_group("bigmem") == "group_kbase.big"
    assert written.limits("bigmem") == "DB:2, X"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"group_attribute": "a b"}, "[backend:pool] group-attribute is 'a b'; expected the name of an attribute"),
        ({"requirements": "CLIENTGROUP =="}, "[backend:pool] requirements is 'CLIENTGROUP =='; expected a ClassAd"),
        ({"requirements__njs": "("}, "[backend:pool] requirements.njs is '('; expected a ClassAd expression"),
        ({"accounting_group": "a b"}, "[backend:pool] accounting-group is 'a b'; expected something like group_kbase"),
        ({"concurrency_limits__njs": "a;b"}, "[backend:pool] concurrency-limits.njs is 'a;b'; expected something"),
    ],
)
def test_a_wrong_option_is_named_with_what_was_expected(written: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        groups(**written)
    assert str(caught.value).startswith(message)


def test_ids_say_where_and_when_the_job_was_submitted() -> None:
    assert schedd("submit.example.org#12.3#1795390000") == "submit.example.org"
    assert submitted_at("submit.example.org#12.3#1795390000") == 1795390000
    assert is_id("submit.example.org#12.3#1795390000")
    assert not any(map(is_id, ["", "12.3", f"ee.{JOB}.1", HOSTILE, "a#1.0#2\n"]))


def test_every_attribute_of_ours_is_in_the_description() -> None:
    assert {f"My.{TAG}", f"My.{GROUP}", f"My.{LIMIT}"} <= form().description().keys()
