from typing import Any

import mongomock
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.jobs.listing.matching import matcher

JOBS: list[dict[str, Any]] = [
    {"_id": 0, "n": 1, "tok": ["a", "b"]},
    {"_id": 1, "n": 2, "tok": ["a"]},
    {"_id": 2, "n": 3, "tok": []},
    {"_id": 3, "tok": ["b"]},
    {"_id": 4, "n": 2},
]
operands = st.integers(0, 4)
conditions = st.one_of(
    st.fixed_dictionaries({"n": operands}),
    st.fixed_dictionaries({"n": st.fixed_dictionaries({"$in": st.lists(operands, min_size=1)})}),
    st.fixed_dictionaries({"n": st.fixed_dictionaries({"$ne": operands})}),
    st.fixed_dictionaries({"n": st.fixed_dictionaries({"$gte": operands}, optional={"$lt": operands})}),
    st.fixed_dictionaries({"tok": st.sampled_from("abc")}),
    st.fixed_dictionaries({"tok": st.fixed_dictionaries({"$all": st.lists(st.sampled_from("abc"), min_size=1)})}),
)


@pytest.fixture(scope="module")
def collection() -> Any:
    jobs = mongomock.MongoClient()["x"].jobs
    jobs.insert_many(JOBS)
    return jobs


@given(asked=st.lists(conditions, min_size=1, max_size=3))
def test_a_job_matches_here_as_it_does_in_the_database(collection: Any, asked: list[dict[str, Any]]) -> None:
    there = {job["_id"] for job in collection.find({"$and": asked})}
    assert {job["_id"] for job in JOBS if matcher(asked)(job)} == there
