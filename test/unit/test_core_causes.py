import pytest

from execution_engine.core.causes import CAUSES, DETAIL_CHARS, MESSAGE_CHARS, describe


@pytest.mark.parametrize("code", CAUSES)
def test_every_cause_has_a_sentence_and_advice(code: str) -> None:
    row = CAUSES[code]
    assert row.code == code
    assert row.message.endswith(".")
    assert row.advice.endswith(".")


def test_a_cause_by_its_code_alone_has_the_texts_of_the_table() -> None:
    assert describe("time_limit") == {
        "code": "time_limit",
        "message": "The job ran longer than it may.",
        "advice": "Use smaller input, or ask the admins for a longer limit.",
    }


def test_a_sentence_of_the_runner_replaces_that_of_the_table() -> None:
    cause = describe("app_error", "FASTA: line 3 has a digit.", detail="Traceback …", exit_code=0)
    assert cause["message"] == "FASTA: line 3 has a digit."
    assert cause["detail"] == "Traceback …"
    assert cause["exit_code"] == 0


def test_a_code_of_a_future_runner_is_kept() -> None:
    assert describe("gpu_lost") == {
        "code": "gpu_lost",
        "message": "gpu_lost",
        "advice": CAUSES["app_error"].advice,
    }


def test_texts_are_cut_to_what_a_record_may_hold() -> None:
    cause = describe("app_error", "m" * (MESSAGE_CHARS + 1), detail="d" * (DETAIL_CHARS + 1))
    assert len(cause["message"]) == MESSAGE_CHARS
    assert len(cause["detail"]) == DETAIL_CHARS


def test_the_engine_tries_again_only_what_machines_and_batch_systems_have_broken() -> None:
    retried = {code for code, row in CAUSES.items() if row.engine_may_retry}
    assert retried == {"machine_rebooted", "node_died", "preempted", "never_started", "backend_lost"}
