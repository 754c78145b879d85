import dataclasses

import pytest
from cryptography.fernet import Fernet
from store_engine import KEY, begin, hand_out, running, submit

from execution_engine.core.errors import CredentialInvalid
from execution_engine.jobs.attempts import credential_check
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.work import get_work
from execution_engine.store.tokens import TokenCipher


def with_keys(engine: Engine, *keys: str) -> Engine:
    return dataclasses.replace(engine, cipher=TokenCipher(list(keys)))


def test_a_runner_that_repeats_its_start_after_a_new_key_came_is_given_the_same_credential(engine: Engine) -> None:
    job_id = submit(engine)
    ticket = hand_out(engine, job_id)
    credential = begin(engine, job_id, ticket)["credential"]
    new_key = Fernet.generate_key().decode()
    rotated = with_keys(engine, new_key, KEY)
    assert begin(rotated, job_id, ticket)["credential"] == credential
    credential_check(rotated, credential, job_id, 1)()
    with pytest.raises(CredentialInvalid, match="is no longer in the key file"):
        begin(with_keys(engine, new_key), job_id, ticket)


def test_a_token_from_before_the_rotation_is_still_handed_out(engine: Engine) -> None:
    job_id, credential = running(engine)
    rotated = with_keys(engine, Fernet.generate_key().decode(), KEY)
    work = get_work(rotated, credential, {"job_id": str(job_id), "attempt": 1})
    assert work["token"] == "alice-token"
