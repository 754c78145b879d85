"""The kinds of backends under test, each with what of it can be broken. A new kind is one more function."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from test.awe_simulator.model import Version
from test.awe_simulator.site import AweSite
from test.conftest import wait_until
from test.resilience.network import Network
from test.resilience.stack_processes import kill, processes_of_jobs

AT_ONCE = 8
"""How many jobs each kind runs at the same time, as many as HTCondor and Slurm have slots here."""

if TYPE_CHECKING:
    from test.resilience.outage.world import World

Strike = Callable[["World"], AbstractContextManager[None]]
"""Breaks something; it lasts as long as the block, and has cleared at its end."""


@dataclass(frozen=True)
class Kind:
    """A backend under test, running. ``name`` is that of the backend and of its client group.

    ``section``: the keys of its ``[backend:NAME]``. ``link``: the network between dispatcher and system, if there is
    one. ``strikes``: what can be done to the system's own parts, by OWN_FAULTS's names.
    """

    name: str
    section: Mapping[str, str]
    link: Network | None = None
    strikes: Mapping[str, Strike] = field(default_factory=dict)

    def config(self) -> str:
        """Its sections of deploy.cfg."""
        keys = "".join(f"{key} = {value}\n" for key, value in self.section.items())
        return f"[backend:{self.name}]\n{keys}[client_group:{self.name}]\nbackends = {self.name}\n"


def local(_stack: ExitStack, _folder: Path) -> Kind:
    """Slots for all jobs, whatever this machine has."""
    size = {"cpus": str(AT_ONCE), "memory-mb": str(AT_ONCE * 1024)}
    return Kind("local", {"kind": "local", "run-as": "none", **size}, strikes={"local: machine restarted": restarted})


@contextmanager
def restarted(world: "World") -> Iterator[None]:
    """All processes of jobs vanish at once, and what began in the boot before says so."""
    folder = world.engine.folder
    world.kill_all_dispatchers()
    kill(*processes_of_jobs(folder))
    wait_until(lambda: not processes_of_jobs(folder), what="the end of all processes of jobs")
    for started in (world.engine.data / "local").glob("ee.*/started"):
        group, boot = started.read_text().split()
        started.write_text(f"{group} {boot.replace('-', '')}\n")
    yield
    world.start_dispatchers()


def awe(stack: ExitStack, folder: Path) -> Kind:
    """The simulator with the real runner; each of its workers runs one job at a time."""
    site = AweSite(folder / "awe", Version.OLD)
    stack.callback(site.end)
    site.install_runner()
    for _ in range(AT_ONCE):
        site.add_worker("awe", poll=0.3, heartbeat=0.5)
    link = stack.enter_context(Network().running())
    link.lead_to(int(urlsplit(site.server.url).port or 0))

    @contextmanager
    def server_away(_: "World") -> Iterator[None]:
        site.server.stop()
        yield
        site.server.start()

    section = {"kind": "awe", "url": f"http://127.0.0.1:{link.port}", "timeout-seconds": "2"}
    section |= {"drop-seconds": "1", "stop-seconds": "1", "lost-seconds": "5"}
    return Kind("awe", section, link, {"awe: server away": server_away})
