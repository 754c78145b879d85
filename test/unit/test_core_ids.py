import pytest
from bson import ObjectId

from execution_engine.core.errors import JobNotFound
from execution_engine.core.ids import (
    attempt_tag,
    derive_credential,
    hash_secret,
    new_job_id,
    new_ticket,
    parse_job_id,
    parse_tag,
)

JOB = ObjectId("507f1f77bcf86cd799439011")


def test_ids_of_jobs_sort_by_age() -> None:
    ids = [new_job_id() for _ in range(1_000)]
    assert ids == sorted(set(ids))
    assert [str(job_id) for job_id in ids] == sorted(str(job_id) for job_id in ids)


def test_an_id_as_it_is_written() -> None:
    assert parse_job_id("507f1f77bcf86cd799439011") == JOB


@pytest.mark.parametrize("text", ["", "17", "507f1f77bcf86cd79943901", "507f1f77bcf86cd79943901x", "g" * 24, "é" * 12])
def test_what_is_no_id_names_no_job(text: str) -> None:
    with pytest.raises(JobNotFound, match="24 hexadecimal digits") as caught:
        parse_job_id(text)
    assert repr(text) in caught.value.message


def test_a_tag_says_which_attempt_of_which_job() -> None:
    tag = attempt_tag(JOB, 3)
    assert tag == "ee.507f1f77bcf86cd799439011.3"
    assert parse_tag(tag) == (JOB, 3)


@pytest.mark.parametrize(
    "name",
    [
        "bash",
        "",
        "ee.507f1f77bcf86cd799439011",
        "ee.507f1f77bcf86cd799439011.0",
        "ee.507f1f77bcf86cd799439011.03",
        "ee.507F1F77BCF86CD799439011.3",
        "xee.507f1f77bcf86cd799439011.3",
        "ee.507f1f77bcf86cd799439011.3x",
    ],
)
def test_other_names_are_no_tags(name: str) -> None:
    assert parse_tag(name) is None


def test_tickets_are_recognisable_and_never_the_same() -> None:
    tickets = {new_ticket() for _ in range(100)}
    assert len(tickets) == 100
    assert all(ticket.startswith("eet_") and len(ticket) == 36 for ticket in tickets)


def test_a_credential_belongs_to_one_runner_of_one_attempt() -> None:
    credential = derive_credential(b"key", JOB, 1, "runner-a")
    assert credential.startswith("eec_")
    assert credential == derive_credential(b"key", JOB, 1, "runner-a")
    others = [
        derive_credential(b"other key", JOB, 1, "runner-a"),
        derive_credential(b"key", ObjectId(), 1, "runner-a"),
        derive_credential(b"key", JOB, 2, "runner-a"),
        derive_credential(b"key", JOB, 1, "runner-b"),
    ]
    assert len({credential, *others}) == 5


def test_secrets_are_stored_as_hashes_whatever_a_client_sent() -> None:
    assert hash_secret("secret") == "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    assert hash_secret("\ud800") != hash_secret("secret")
