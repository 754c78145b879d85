"""What can go wrong: each fault once, for all kinds at the same time where it is a part of the engine that fails."""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from test.conftest import wait_until
from test.resilience.network import Network, Weather
from test.resilience.outage.fates import Group
from test.resilience.outage.kinds import Kind
from test.resilience.outage.tested import OWN_FAULTS
from test.resilience.outage.world import World
from test.resilience.stack_processes import PATIENCE_SECONDS, kill, kill_child, workers_of

LASTS_SECONDS = 1.5
RUNNER_LOST = frozenset({"completed", "error runner_lost"})

# Slurm's controller writes down what it knows with some seconds' delay. After a crash it does not know a job that has
# just begun; it has the node end it, and nobody can say why. An attempt that is lost so for the third time fails.
FORGOTTEN = frozenset({"completed", "error runner_lost", "error start_failed"})
AMNESIA = {"slurm: slurmctld killed": {group: FORGOTTEN for group in Group if group != Group.STOPPING}}

Strike = Callable[[World], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """``arm`` prepares it before the jobs act, ``strike`` lasts as long as its block and has cleared at its end.

    ``outcomes``: what may become of jobs besides what they would come to without it, by group.
    """

    name: str
    strike: Strike
    arm: Callable[[World], None] = lambda _: None
    outcomes: dict[Group, frozenset[str]] = field(default_factory=dict)
    kinds: Callable[[Kind], bool] = lambda _: True
    """Which kinds have it."""


def some_moment() -> None:
    """Whatever everybody is doing then."""
    time.sleep(random.uniform(0, 0.4))


@contextmanager
def dispatcher_killed(world: World) -> Iterator[None]:
    for _ in range(2):
        some_moment()
        world.kill_acting_dispatcher()
    yield


@contextmanager
def web_worker_killed(world: World) -> Iterator[None]:
    for _ in range(3):
        some_moment()
        kill(*workers_of(world.engine, "web")[:1])
    yield


@contextmanager
def child_killed(world: World, name: str) -> Iterator[None]:
    some_moment()
    kill_child(world.engine, name)
    yield
    world.wait_restarted(name)


@contextmanager
def mongod_killed(world: World) -> Iterator[None]:
    some_moment()
    world.kill_mongod()
    try:
        time.sleep(LASTS_SECONDS)
        yield
    finally:
        world.start_mongod()


@contextmanager
def all_killed(world: World, order: tuple[str, ...]) -> Iterator[None]:
    """mongod, web server and dispatchers die together and come back one after the other."""
    some_moment()
    with world.no_supervisor():
        world.kill_all_dispatchers()
        kill(world.engine.pid("web"), *workers_of(world.engine, "web"))
        world.kill_mongod()
        yield
        back = {"mongod": world.start_mongod, "dispatcher": world.start_dispatchers}
        for part in itertools.takewhile(lambda part: part != "web", order):
            back[part]()
            time.sleep(0.5)
    world.wait_restarted("web")
    for part in order[order.index("web") + 1 :]:
        back[part]()


def weather(networks: Callable[[World], Sequence[Network]], kind: Weather) -> Strike:
    """Networks that do not do what they should, for a while."""

    @contextmanager
    def strike(world: World) -> Iterator[None]:
        some_moment()
        for network in networks(world):
            network.change(kind)
        try:
            time.sleep(LASTS_SECONDS)
            yield
        finally:
            for network in networks(world):
                network.change(Weather.FAIR)

    return strike


def to_engine(world: World) -> Sequence[Network]:
    return [world.to_engine]


def to_mongod(world: World) -> Sequence[Network]:
    return [world.to_mongod]


def to_systems(world: World) -> Sequence[Network]:
    return [kind.link for kind in world.kinds if kind.link]


def own(name: str) -> Strike:
    """A fault of a single kind's system."""

    @contextmanager
    def strike(world: World) -> Iterator[None]:
        some_moment()
        (strike,) = [kind.strikes[name] for kind in world.kinds if name in kind.strikes]
        with strike(world):
            time.sleep(LASTS_SECONDS)
            yield

    return strike


@contextmanager
def reached(world: World) -> Iterator[None]:
    """Until every armed point was reached by somebody, who died of it."""
    try:
        wait_until(lambda: not world.armed(), PATIENCE_SECONDS, "the death at every armed point")
        yield
    finally:
        world.disarm()


def at_points(name: str, *points: str, outcomes: dict[Group, frozenset[str]] | None = None) -> Fault:
    """Somebody dies at each of the points; KIND in a point's name stands for every kind."""

    def arm(world: World) -> None:
        for point in points:
            for kind in world.kinds if "KIND" in point else world.kinds[:1]:
                world.arm(point.replace("KIND", kind.name))

    return Fault(name, reached, arm, outcomes or {})


def at_points_of_cancels(name: str, point: str) -> Fault:
    """As :func:`at_points`; the runners can't hear of the cancel, or they would be quicker than the dispatcher."""
    plain = at_points(name, point)

    def arm(world: World) -> None:
        plain.arm(world)
        world.to_engine.change(Weather.REFUSING)

    @contextmanager
    def strike(world: World) -> Iterator[None]:
        try:
            with reached(world):
                yield
        finally:
            world.to_engine.change(Weather.FAIR)

    return Fault(name, strike, arm)


def _all() -> Iterator[Fault]:
    yield at_points("dispatcher dies: claim not committed", "dispatcher-claimed-after")
    yield at_points("dispatcher dies: claimed, not submitted", "dispatcher-submit-before-KIND")
    yield at_points("dispatcher dies: half submitted", "dispatcher-submit-half-KIND")
    yield at_points("dispatcher dies: submitted, not recorded", "dispatcher-submit-after-KIND")
    yield at_points("dispatcher dies: record not committed", "dispatcher-queued-after")
    yield at_points("dispatcher dies: recorded, ids not noted", "dispatcher-ids")
    yield at_points_of_cancels("dispatcher dies: cancel not passed on", "dispatcher-cancel-before-KIND")
    yield at_points_of_cancels("dispatcher dies: cancel passed on", "dispatcher-cancel-after-KIND")
    yield Fault("dispatcher killed, twice", dispatcher_killed)
    yield at_points("web dies: around a start", "web-started-before", "web-started-after")
    yield at_points("web dies: around log lines", "web-lines-before", "web-lines-after")
    yield at_points("web dies: around an end", "web-output-after", "web-completed-before", "web-completed-after")
    yield at_points("web dies: around a cancel", "web-cancel_requested-before")
    yield Fault("web workers killed", web_worker_killed)
    yield Fault("web server killed", lambda world: child_killed(world, "web"))
    yield Fault("Auth, Workspace, Catalog killed", lambda world: child_killed(world, "services"))
    yield Fault("mongod killed", mongod_killed)
    anybody = {group: RUNNER_LOST for group in Group if group != Group.STOPPING}
    yield at_points("runner dies: start not answered", "runner-started-after-KIND", outcomes=anybody)
    yield at_points("runner dies: lines not answered", "runner-lines-after-KIND", outcomes=anybody)
    yield at_points("runner dies: end not answered", "runner-completed-after-KIND", outcomes=anybody)
    for kind in (Weather.REFUSING, Weather.SILENT, Weather.CUTTING, Weather.MUTE, Weather.SLOW):
        yield Fault(f"runners to engine {kind.name.lower()}", weather(to_engine, kind))
        yield Fault(f"engine to mongod {kind.name.lower()}", weather(to_mongod, kind))
        yield Fault(
            f"dispatcher to system {kind.name.lower()}", weather(to_systems, kind), kinds=lambda kind: bool(kind.link)
        )
    for name in OWN_FAULTS:
        yield Fault(name, own(name), outcomes=AMNESIA.get(name, {}), kinds=lambda kind, name=name: name in kind.strikes)
    for order in itertools.permutations(("mongod", "web", "dispatcher")):
        yield Fault(f"all killed, back: {', '.join(order)}", lambda world, order=order: all_killed(world, order))


FAULTS = tuple(_all())
