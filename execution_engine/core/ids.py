"""Ids, tags and secrets.

A job id is an ObjectId: 24 hexadecimal digits that sort by age, which old clients rely on. Start tickets and
credentials are random and recognisable by their prefix; only their hashes are stored.
"""

import hashlib
import hmac
import re
import secrets

from bson import ObjectId

from execution_engine.core.errors import JobNotFound

TICKET_PREFIX = "eet_"
CREDENTIAL_PREFIX = "eec_"
_TAG = re.compile(r"ee\.([0-9a-f]{24})\.([1-9][0-9]*)")


def new_job_id() -> ObjectId:
    """A fresh id, younger than all before it from this process."""
    return ObjectId()


def parse_job_id(text: str) -> ObjectId:
    """The id in ``text``.

    Raises:
        JobNotFound: it is not of the form of an id, so there can't be such a job.
    """
    if not ObjectId.is_valid(text):
        raise JobNotFound(f"There is no job {text!r}; a job id is 24 hexadecimal digits.")
    return ObjectId(text)


def attempt_tag(job_id: ObjectId, attempt: int) -> str:
    """What an attempt is called inside a batch system: ``ee.<job id>.<attempt>``."""
    return f"ee.{job_id}.{attempt}"


def parse_tag(tag: str) -> tuple[ObjectId, int] | None:
    """Job and attempt of a tag; None for a name that is not one of ours."""
    match = _TAG.fullmatch(tag)
    return (ObjectId(match[1]), int(match[2])) if match else None


def new_ticket() -> str:
    """A start ticket: 192 random bits."""
    return TICKET_PREFIX + secrets.token_urlsafe(24)


def derive_credential(key: bytes, job_id: ObjectId, attempt: int, runner: str) -> str:
    """The credential of one runner for one attempt.

    Derived, not drawn, so that a runner that repeats start_job after a lost answer is given the same one although the
    database holds only its hash.
    """
    digest = hmac.new(key, f"credential/{job_id}/{attempt}/{runner}".encode(), hashlib.sha256)
    return CREDENTIAL_PREFIX + digest.hexdigest()


def hash_secret(secret: str) -> str:
    """SHA-256 in hexadecimal: enough, since the secrets are random and long."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
