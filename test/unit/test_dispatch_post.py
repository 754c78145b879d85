from collections.abc import Callable
from typing import Any

import pytest
from bson import ObjectId
from store_dispatch import Clock

from execution_engine.core import transitions
from execution_engine.core.causes import describe
from execution_engine.core.clock import now
from execution_engine.core.states import Status
from execution_engine.dispatch.post import Post
from execution_engine.jobs.holds import DISPATCH_LEASE
from execution_engine.store.leases import Lease, LeaseLost

SECONDS = 10.0
WRITES = [(ObjectId(), transitions.request_cancel(now(), by="alice", reason=None))]


class Leases:
    """The lease as the database has it: its holder, its fence, and when it runs out."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.owner: str | None = None
        self.fence = 0
        self.until = 0.0
        self.asked = 0

    def acquire(self, name: str, owner: str, seconds: float) -> Lease | None:
        assert name == DISPATCH_LEASE
        self.asked += 1
        if self.owner != owner:
            if self.clock.seconds < self.until:
                return None
            self.owner, self.fence = owner, self.fence + 1
        self.until = self.clock.seconds + seconds
        return Lease(name, owner, self.fence)

    def renew(self, lease: Lease, seconds: float) -> bool:
        if (self.owner, self.fence) != (lease.owner, lease.fence):
            return False
        self.until = self.clock.seconds + seconds
        return True

    def release(self, lease: Lease) -> None:
        if (self.owner, self.fence) == (lease.owner, lease.fence):
            self.owner, self.until = None, self.clock.seconds

    def write_under(self, lease: Lease, write: Callable[[Any], int]) -> int:
        if (self.owner, self.fence) != (lease.owner, lease.fence):
            raise LeaseLost
        return write("session")


class Jobs:
    def __init__(self) -> None:
        self.written = 0

    def apply_many(self, writes: Any, session: str) -> int:
        assert session == "session"
        self.written += 1
        return len(writes)


class Slots:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def free_ended(self, job_ids: Any, session: str) -> int:
        assert session == "session"
        self.asked.append(job_ids)
        return len(job_ids)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(clock: Clock) -> Leases:
    return Leases(clock)


@pytest.fixture
def slots() -> Any:
    return Slots()


@pytest.fixture
def post_of(leases: Any, slots: Any, clock: Clock) -> Callable[[str], Post]:
    def post_of(owner: str) -> Post:
        jobs: Any = Jobs()
        return Post(jobs, slots, leases, owner, SECONDS, clock)

    return post_of


@pytest.fixture
def post(post_of: Callable[[str], Post]) -> Post:
    return post_of("one")


def test_one_holds_the_post_and_another_stands_by(post: Post, post_of: Callable[[str], Post], clock: Clock) -> None:
    other = post_of("two")
    assert post.hold()
    assert not other.hold()
    clock.seconds += SECONDS
    assert other.hold()
    assert not post.hold()


def test_the_lease_is_renewed_after_a_third_of_its_time(post: Post, leases: Leases, clock: Clock) -> None:
    for _ in range(3):
        assert post.hold()
    assert leases.asked == 1
    clock.seconds += SECONDS / 3
    assert post.hold()
    assert leases.asked == 2


def test_a_long_round_does_not_cost_the_post(post: Post, post_of: Callable[[str], Post], clock: Clock) -> None:
    post.renew()  # there is nothing to keep yet
    post.hold()
    for _ in range(10):
        clock.seconds += SECONDS / 2
        post.renew()
        assert not post_of("two").hold()
    assert post.write(WRITES) == 1


def test_who_hangs_for_ever_is_replaced(post: Post, post_of: Callable[[str], Post], clock: Clock) -> None:
    post.hold()
    clock.seconds += 601
    post.renew()
    assert post_of("two").hold()
    post.renew()
    with pytest.raises(LeaseLost):
        post.write(WRITES)


def test_who_leaves_lets_another_take_over_at_once(post: Post, post_of: Callable[[str], Post]) -> None:
    post.hold()
    post.leave()
    assert post_of("two").hold()
    assert not post.hold()
    post.leave()


def test_writes_are_made_under_the_lease(post: Post) -> None:
    post.hold()
    assert post.write(WRITES * 3) == 3
    assert post.write([]) == 0


def test_attempts_that_end_give_their_slots_back_in_the_same_transaction(post: Post, slots: Slots) -> None:
    post.hold()
    post.write(WRITES)
    assert slots.asked == []
    lost, failed = ObjectId(), ObjectId()
    cause = describe("start_failed")
    post.write(
        [
            *WRITES,
            (lost, transitions.release(now(), attempt=1, note="no room")),
            (failed, transitions.settle(now(), attempt=1, to=Status.ERROR, cause=cause)),
        ]
    )
    assert slots.asked == [[lost, failed]]


def test_a_term_is_over_when_another_one_has_had_the_post(
    post: Post, post_of: Callable[[str], Post], clock: Clock
) -> None:
    assert post.term is None
    post.hold()
    first = post.term
    clock.seconds += SECONDS
    assert post.hold()
    assert post.term == first
    clock.seconds += SECONDS
    other = post_of("two")
    other.hold()
    other.leave()
    assert post.hold()
    assert post.term != first


def test_who_does_not_hold_the_post_does_not_write(post: Post, post_of: Callable[[str], Post], clock: Clock) -> None:
    with pytest.raises(LeaseLost):
        post.write(WRITES)
    post.hold()
    clock.seconds += SECONDS
    post_of("two").hold()
    with pytest.raises(LeaseLost):
        post.write(WRITES)
    assert not post.hold()


def test_nothing_to_write_needs_no_post(post: Post) -> None:
    assert post.write([]) == 0


@pytest.mark.parametrize("late", [8.5, 10.0, 500.0])
def test_after_a_slow_call_the_holder_goes_on_if_nobody_took_over(post: Post, clock: Clock, late: float) -> None:
    # A backend may take longer to answer than the lease lasts; its answer must not be lost for that.
    post.hold()
    clock.seconds += late
    assert post.write(WRITES) == 1
    assert post.hold()


def test_after_a_slow_call_the_holder_stops_if_somebody_was_here_meanwhile(
    post: Post, post_of: Callable[[str], Post], clock: Clock
) -> None:
    post.hold()
    clock.seconds += SECONDS
    other = post_of("two")
    other.hold()
    other.leave()
    with pytest.raises(LeaseLost):
        post.write(WRITES)
    assert post.hold(), "the post is free, so the next round may begin"
    assert post.write(WRITES) == 1


def test_after_a_slow_call_the_holder_stops_while_another_has_the_post(
    post: Post, post_of: Callable[[str], Post], clock: Clock
) -> None:
    post.hold()
    clock.seconds += SECONDS
    post_of("two").hold()
    for _ in range(2):
        with pytest.raises(LeaseLost):
            post.write(WRITES)
