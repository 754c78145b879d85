from collections.abc import Sequence
from typing import Any

import pytest
from bson import ObjectId
from store_dispatch import Clock, FreePost, ToldBackend
from store_engine import KBase, begin, claim, finish, person, record, submit

from execution_engine.backends.base import Refused, Requirements, Submission, Unknown
from execution_engine.config import BackendSettings, ClientGroupSettings, Settings
from execution_engine.core.ids import hash_secret
from execution_engine.dispatch.desk import Desk
from execution_engine.dispatch.feed import Feed
from execution_engine.dispatch.places import Places
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.limits import Kind, Target
from execution_engine.jobs.routing import Routing


@pytest.fixture
def backend() -> ToldBackend:
    return ToldBackend()


def feed_of(
    engine: Engine,
    *backends: ToldBackend,
    ahead: int | None = 4,
    groups: Sequence[str] = ("local",),
    clock: Clock | None = None,
) -> Feed:
    desks = {backend.name: Desk(backend, engine.backends, clock or Clock()) for backend in backends}
    settings = [ClientGroupSettings(group, tuple(desks), ahead) for group in groups]
    post: Any = FreePost(engine.jobs)
    routing: Any = ReadAnew(engine, desks, settings)
    return Feed(post, Places(post, engine.limits, engine.slots), routing, settings, desks)


class ReadAnew:
    """The routing of these backends and groups, as it is at every moment."""

    def __init__(self, engine: Engine, desks: dict[str, Desk], groups: Sequence[ClientGroupSettings]) -> None:
        backends = {name: BackendSettings(name, "told", {}) for name in desks}
        self._settings = Settings(backends=backends, client_groups={group.name: group for group in groups})
        self._engine = engine

    def read(self) -> Routing:
        return Routing(self._settings, self._engine.routes.all())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def feed(engine: Engine, backend: ToldBackend, clock: Clock) -> Feed:
    return feed_of(engine, backend, clock=clock)


def job_ids(backend: ToldBackend) -> list[ObjectId]:
    return [ObjectId(tag.split(".")[1]) for tag in backend.order]


def test_without_waiting_jobs_no_backend_is_called(feed: Feed, backend: ToldBackend) -> None:
    assert feed.run() == 0
    assert backend.calls == []


def test_a_job_is_claimed_submitted_and_recorded(feed: Feed, backend: ToldBackend, engine: Engine) -> None:
    job_id = submit(engine)
    seen: list[Submission] = []
    during: list[Any] = []

    def look(jobs: Sequence[Submission]) -> None:
        seen.extend(jobs)
        during.append(record(engine, job_id))

    backend.on_submit = look
    assert feed.run() == 1
    (submission,) = seen
    tag = f"ee.{job_id}.1"
    assert submission == Submission(
        tag=tag,
        job_id=str(job_id),
        attempt=1,
        ticket=submission.ticket,
        requirements=Requirements(2, 512, 1),
        client_group="local",
        user="alice",
    )
    # Before the backend hears of it, the record says so: a crash now leaves a trace.
    assert (during[0]["status"], during[0]["claimed"], during[0]["backend"]) == ("created", True, "local")
    assert during[0]["attempt"]["tag"] == tag
    assert during[0]["attempt"]["ticket"] == hash_secret(submission.ticket)
    job = record(engine, job_id)
    assert (job["status"], job["backend_id"]) == ("queued", tag)
    assert submission.ticket not in str(job)
    assert feed.run() == 0


def test_a_runner_that_begins_during_the_submission_does_no_harm(
    feed: Feed, backend: ToldBackend, engine: Engine
) -> None:
    job_id = submit(engine)
    backend.on_submit = lambda jobs: begin(engine, job_id, jobs[0].ticket)
    assert feed.run() == 1
    job = record(engine, job_id)
    assert (job["status"], job["backend_id"]) == ("running", f"ee.{job_id}.1")


def test_a_runner_that_ends_during_the_submission_does_no_harm(
    feed: Feed, backend: ToldBackend, engine: Engine
) -> None:
    job_id = submit(engine)

    def live(jobs: Sequence[Submission]) -> None:
        finish(engine, job_id, begin(engine, job_id, jobs[0].ticket)["credential"])

    backend.on_submit = live
    assert feed.run() == 1
    assert (record(engine, job_id)["status"], record(engine, job_id)["backend_id"]) == ("completed", f"ee.{job_id}.1")


def test_only_so_many_jobs_wait_inside_the_backend(feed: Feed, backend: ToldBackend, engine: Engine) -> None:
    for _ in range(7):
        submit(engine)
    assert feed.run() == 4
    assert feed.run() == 0, "there is no room before one of them begins"
    begin(engine, job_ids(backend)[0], backend.tickets[backend.order[0]])
    assert feed.run() == 1


def test_the_users_of_a_group_take_turns(feed: Feed, backend: ToldBackend, engine: Engine) -> None:
    of_ann = [submit(engine, "ann") for _ in range(20)]
    of_bob = [submit(engine, "bob") for _ in range(2)]
    assert feed.run() == 4
    assert set(job_ids(backend)) == {*of_ann[:2], *of_bob}


def test_a_user_with_few_jobs_leaves_no_place_empty(feed: Feed, backend: ToldBackend, engine: Engine) -> None:
    of_ann = [submit(engine, "ann") for _ in range(20)]
    submit(engine, "bob")
    assert feed.run() == 4
    assert set(of_ann[:3]) < set(job_ids(backend))


def test_jobs_of_a_user_go_in_their_order(feed: Feed, backend: ToldBackend, engine: Engine) -> None:
    jobs = [submit(engine) for _ in range(4)]
    feed.run()
    assert job_ids(backend) == jobs


def test_each_group_has_its_own_room(engine: Engine, backend: ToldBackend) -> None:
    feed = feed_of(engine, backend, ahead=2, groups=("local", "bigmem"))
    for _ in range(3):
        submit(engine)
    assert feed.run() == 2
    for _ in range(3):
        submit(engine, client_group="bigmem")
    assert feed.run() == 2, "what waits of one group takes no room of another"
    assert feed.run() == 0


def test_a_job_that_somebody_else_has_taken_is_not_submitted(
    feed: Feed, backend: ToldBackend, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, cancelled, free = submit(engine), submit(engine), submit(engine)
    choose = engine.jobs.waiting_of

    def chosen_and_then_gone(*args: Any) -> Any:
        jobs = choose(*args)
        if not record(engine, taken)["claimed"]:
            claim(engine, taken)
            cancel(engine, person("alice"), cancelled, None)
        return jobs

    monkeypatch.setattr(engine.jobs, "waiting_of", chosen_and_then_gone)
    assert feed.run() == 1
    assert job_ids(backend) == [free]


def test_a_round_in_which_all_were_taken_calls_no_backend(
    feed: Feed, backend: ToldBackend, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(engine)
    chosen = engine.jobs.waiting_of("local", "alice", 1)
    claim(engine, job_id)
    submit(engine, "bob")
    monkeypatch.setattr(engine.jobs, "waiting_of", lambda *_: chosen)
    assert feed.run() == 0
    assert backend.calls == []


def test_a_backend_that_does_not_answer_leaves_its_jobs_to_recovery(
    feed: Feed, backend: ToldBackend, engine: Engine
) -> None:
    job_id = submit(engine)
    backend.down = "no connection"
    assert feed.run() == 0
    job = record(engine, job_id)
    assert (job["status"], job["claimed"], "backend_id" in job) == ("created", True, False)


def test_one_job_of_which_the_backend_knows_nothing_is_left_to_recovery(
    feed: Feed, backend: ToldBackend, engine: Engine
) -> None:
    asked, taken = submit(engine), submit(engine)
    backend.refusals[f"ee.{asked}.1"] = Unknown("The answer did not come in time.")
    assert feed.run() == 2
    assert record(engine, taken)["status"] == "queued"
    left = record(engine, asked)
    assert (left["status"], left["attempt"]["tag"]) == ("created", f"ee.{asked}.1")
    assert "backend_id" not in left


def test_jobs_of_a_backend_that_is_down_wait(feed: Feed, backend: ToldBackend, engine: Engine) -> None:
    submit(engine)
    backend.down = "no connection"
    feed.run()
    later = submit(engine)
    feed.run()
    assert record(engine, later)["claimed"] is False
    assert backend.calls == ["submit"]


def test_where_the_best_backend_is_down_the_next_one_serves(engine: Engine) -> None:
    near, far = ToldBackend("near"), ToldBackend("far")
    feed = feed_of(engine, near, far)
    submit(engine)
    near.down = "no connection"
    feed.run()
    second = submit(engine)
    assert feed.run() == 1
    assert job_ids(far) == [second]
    assert record(engine, second)["backend"] == "far"


def test_a_job_that_is_refused_for_good_fails_with_the_backends_words(
    feed: Feed, backend: ToldBackend, engine: Engine
) -> None:
    job_id, fine = submit(engine), submit(engine)
    backend.refusals[f"ee.{job_id}.1"] = Refused("The job asks for 2 CPUs, this machine has 1.", transient=False)
    feed.run()
    job = record(engine, job_id)
    assert (job["status"], job["cause"]["code"]) == ("error", "backend_refused")
    assert job["cause"]["message"] == "The job asks for 2 CPUs, this machine has 1."
    assert record(engine, fine)["status"] == "queued"


def refuse_for_now(backend: ToldBackend, job_id: ObjectId, attempts: int) -> None:
    for attempt in range(1, attempts + 1):
        backend.refusals[f"ee.{job_id}.{attempt}"] = Refused("The queue is full.", transient=True)


def test_a_job_that_is_refused_for_now_waits_and_goes_again(
    feed: Feed, backend: ToldBackend, engine: Engine, clock: Clock
) -> None:
    job_id = submit(engine)
    refuse_for_now(backend, job_id, 1)
    feed.run()
    job = record(engine, job_id)
    assert (job["status"], job["claimed"], job["history"][-1]["note"]) == ("created", False, "The queue is full.")
    assert feed.run() == 0
    clock.seconds += 1
    assert feed.run() == 1
    assert record(engine, job_id)["backend_id"] == f"ee.{job_id}.2"


def test_a_backend_that_takes_no_more_is_left_alone_for_pauses_that_grow(
    feed: Feed, backend: ToldBackend, engine: Engine, clock: Clock
) -> None:
    job_id = submit(engine)
    refuse_for_now(backend, job_id, 7)
    pauses, passed = [], 0
    while not backend.order:
        if feed.run():
            pauses.append(passed)
            passed = 0
        clock.seconds += 1
        passed += 1
    assert pauses == [0, 1, 2, 4, 8, 16, 30, 30]
    assert record(engine, job_id)["status"] == "queued", "it is never failed for that"
    later = submit(engine)
    refuse_for_now(backend, later, 1)
    feed.run()
    clock.seconds += 1
    assert feed.run() == 1, "once it takes jobs again, the pauses begin anew"


def test_while_the_best_backend_takes_no_more_the_next_one_serves(engine: Engine, clock: Clock) -> None:
    near, far = ToldBackend("near"), ToldBackend("far")
    feed = feed_of(engine, near, far, clock=clock)
    job_id = submit(engine)
    refuse_for_now(near, job_id, 1)
    feed.run()
    assert feed.run() == 1
    assert far.order == [f"ee.{job_id}.2"]


def limit(engine: Engine, value: int, **target: Any) -> None:
    it = Target(**target)
    engine.limits.put(it.name, engine.limits.value(it.name), it.fields() | {"value": value}, {})


def test_no_more_jobs_of_a_user_start_than_the_limit(feed: Feed, backend: ToldBackend, engine: Engine) -> None:
    limit(engine, 1, kind=Kind.RUNNING, each_user=True)
    limit(engine, 2, kind=Kind.RUNNING, user="bob")
    of_ann = [submit(engine, "ann") for _ in range(3)]
    of_bob = [submit(engine, "bob") for _ in range(3)]
    assert feed.run() == 3
    assert set(job_ids(backend)) == {of_ann[0], *of_bob[:2]}
    assert engine.slots.in_use(["user=ann", "user=bob"]) == {"user=ann": 1, "user=bob": 2}
    ended = of_bob[0]
    finish(engine, ended, begin(engine, ended, backend.tickets[f"ee.{ended}.1"])["credential"])
    assert feed.run() == 1
    assert job_ids(backend)[-1] == of_bob[2]


def test_a_user_at_the_limit_eats_up_nobodys_places(feed: Feed, backend: ToldBackend, engine: Engine) -> None:
    limit(engine, 1, kind=Kind.RUNNING, user="ann")
    for _ in range(3):
        submit(engine, "ann")
    of_bob = [submit(engine, "bob") for _ in range(3)]
    assert feed.run() == 4
    assert set(of_bob) < set(job_ids(backend))


def test_a_limit_in_a_group_leaves_the_users_other_groups_alone(engine: Engine, backend: ToldBackend) -> None:
    feed = feed_of(engine, backend, groups=("local", "bigmem"))
    limit(engine, 1, kind=Kind.RUNNING, each_user=True, client_group="bigmem")
    for group in ("bigmem", "bigmem", "local", "local"):
        submit(engine, client_group=group)
    assert feed.run() == 3
    assert [record(engine, job_id)["client_group"] for job_id in job_ids(backend)] == ["local", "local", "bigmem"]


def test_a_limit_of_a_user_counts_over_all_groups(engine: Engine, backend: ToldBackend) -> None:
    feed = feed_of(engine, backend, groups=("local", "bigmem"))
    limit(engine, 3, kind=Kind.RUNNING, user="alice")
    for group in ("bigmem", "bigmem", "local", "local"):
        submit(engine, client_group=group)
    assert feed.run() == 3


def test_every_limit_that_applies_holds(feed: Feed, engine: Engine) -> None:
    limit(engine, 3, kind=Kind.RUNNING, client_group="local")
    limit(engine, 2, kind=Kind.RUNNING, user="ann")
    for name in ("ann", "ann", "ann", "bob", "bob"):
        submit(engine, name)
    assert feed.run() == 3
    counts = engine.slots.in_use(["group=local", "user=ann", "user=bob"])
    assert counts["group=local"] == 3
    assert counts["user=ann"] <= 2


def test_a_limit_that_is_lowered_starts_no_more_and_stops_nothing(
    feed: Feed, backend: ToldBackend, engine: Engine
) -> None:
    jobs = [submit(engine) for _ in range(6)]
    assert feed.run() == 4, "they began before there was a limit"
    limit(engine, 3, kind=Kind.RUNNING, user="alice")
    for job_id in jobs[:2]:
        finish(engine, job_id, begin(engine, job_id, backend.tickets[f"ee.{job_id}.1"])["credential"])
    assert feed.run() == 1
    assert feed.run() == 0
    assert engine.slots.in_use(["user=alice"]) == {"user=alice": 3}
    limit(engine, 4, kind=Kind.RUNNING, user="alice")
    assert feed.run() == 1, "one that is raised lets the next one start"


def test_an_attempt_that_is_refused_gives_its_slot_back(
    feed: Feed, backend: ToldBackend, engine: Engine, clock: Clock
) -> None:
    limit(engine, 1, kind=Kind.RUNNING, user="alice")
    job_id = submit(engine)
    refuse_for_now(backend, job_id, 1)
    feed.run()
    assert engine.slots.in_use(["user=alice"]) == {}
    clock.seconds += 1
    assert feed.run() == 1


def test_what_was_counted_too_low_is_refused_by_the_slots(
    feed: Feed, backend: ToldBackend, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(engine, 1, kind=Kind.RUNNING, user="alice")
    submit(engine)
    submit(engine)
    assert feed.run() == 1
    monkeypatch.setattr(engine.slots, "in_use", lambda _: {})
    assert feed.run() == 0
    assert len(backend.order) == 1


def test_the_lowest_limit_of_run_time_goes_along(feed: Feed, backend: ToldBackend, engine: Engine) -> None:
    limit(engine, 3600, kind=Kind.RUN_TIME, client_group="local")
    limit(engine, 60, kind=Kind.RUN_TIME, method="sequence_tools.count_kmers")
    limit(engine, 30, kind=Kind.RUN_TIME, method="sequence_tools.count_kmers", user="bob")
    seen: list[Submission] = []
    backend.on_submit = seen.extend
    jobs = [submit(engine, "ann"), submit(engine, "bob", method="Sequence_Tools.count_kmers"), submit(engine, "bob")]
    feed.run()
    limits = {ObjectId(it.job_id): it.time_limit_s for it in seen}
    assert limits == dict(zip(jobs, (60, 30, 30), strict=True))
    assert {job_id: record(engine, job_id)["attempt"]["time_limit_s"] for job_id in jobs} == limits


def send(engine: Engine, *backends: str, **about: str) -> None:
    assert engine.routes.write(about, None, {"backends": list(backends)}, {})


def test_jobs_go_where_their_route_says(engine: Engine) -> None:
    near, far = ToldBackend("near"), ToldBackend("far")
    feed = feed_of(engine, near, far)
    send(engine, "far", user="bob")
    of_ann, of_bob = submit(engine, "ann"), submit(engine, "bob")
    assert feed.run() == 2
    assert (job_ids(near), job_ids(far)) == ([of_ann], [of_bob])


def test_jobs_whose_backend_takes_none_hold_up_nobody(engine: Engine) -> None:
    near, far = ToldBackend("near"), ToldBackend("far")
    feed = feed_of(engine, near, far)
    send(engine, "far", method="sequence_tools.quiet")
    send(engine, "far", user="bob")
    for _ in range(30):
        submit(engine, "ann", method="sequence_tools.quiet")
        submit(engine, "bob")
    feed._desks["far"].drained = True
    later = [submit(engine, "ann") for _ in range(3)]
    assert feed.run() == 3
    assert job_ids(near) == later
    feed._desks["far"].drained = False
    assert feed.run() == 4


def test_where_the_best_backend_has_enough_waiting_jobs_stay_here(engine: Engine) -> None:
    near, far = ToldBackend("near"), ToldBackend("far")
    feed = feed_of(engine, near, far, ahead=2)
    for _ in range(5):
        submit(engine)
    assert feed.run() == 2
    assert feed.run() == 0
    assert far.order == []


def test_what_an_app_wants_of_a_machine_goes_along(
    feed: Feed, backend: ToldBackend, engine: Engine, kbase: KBase
) -> None:
    kbase.groups["sequence_tools.count_kmers"] = ["local", "has_gpu=1"]
    seen: list[Submission] = []
    backend.on_submit = seen.extend
    submit(engine)
    submit(engine, method="sequence_tools.quiet")
    feed.run()
    assert [it.constraints for it in seen] == [{"has_gpu": "1"}, {}]


def test_a_job_that_is_refused_for_days_does_not_grow(
    feed: Feed, backend: ToldBackend, engine: Engine, clock: Clock
) -> None:
    job_id = submit(engine)
    refuse_for_now(backend, job_id, 200)
    for _ in range(200):
        clock.seconds += 30
        assert feed.run() == 1
    job = record(engine, job_id)
    assert (job["attempt"]["n"], job["given_back"]) == (200, "The queue is full.")
    told = [entry["attempt"] for entry in job["history"] if entry["event"] == "released"]
    assert told == [*range(1, 21), 32, 64, 128]
    clock.seconds += 30
    assert feed.run() == 1
    assert "given_back" not in record(engine, job_id)
