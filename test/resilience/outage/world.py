"""An engine of which every part can be broken: its MongoDB and its runners reach it through networks of the test."""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from execution_engine.embedded.mongod import Mongod, find_mongod
from test.apps.registration import register_test_apps
from test.conftest import START_SECONDS, Stack, wait_until
from test.resilience.conftest import SETTINGS, remove
from test.resilience.dispatchers import acting_dispatcher, start_dispatcher
from test.resilience.network import Network
from test.resilience.outage.kinds import Kind
from test.resilience.outage.tested import KINDS
from test.resilience.stack_processes import PATIENCE_SECONDS, kill, processes_of

POINTS = Path(__file__).parent / "points"
STAND_BYS = 2


class World:
    """The engine, what it depends on, and dispatchers that are replaced as soon as they die."""

    def __init__(self, folder: Path) -> None:
        """``without``: kinds that can't be had here, and why."""
        self.without: dict[str, str] = {}
        self.folder = folder
        self.points = folder / "points"
        self.points.mkdir()
        self.to_engine, self.to_mongod = Network(), Network()
        self._mongod = Mongod.in_folder(folder / "mongo", find_mongod())
        self._mongod_process: subprocess.Popen[bytes] | None = None
        self._dispatchers: list[subprocess.Popen[bytes]] = []
        self._keeping = threading.Event()
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator["World"]:
        """Everything runs as long as the block lasts, and nothing afterwards."""
        with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="ee-outage-") as shared:
            # Jobs of other accounts find their apps there, and write their traces.
            self.shared = Path(shared)
            self.shared.chmod(0o1777)
            self.kinds = list(self._start_kinds(stack))
            self.engine = self._make_engine()
            stack.enter_context(self.to_engine.running())
            stack.enter_context(self.to_mongod.running())
            self.to_engine.lead_to(self.engine.port)
            self.to_mongod.lead_to(self._mongod.socket)
            stack.callback(self._end_mongod)
            self.start_mongod()
            stack.callback(remove, self.engine)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PYTHONPATH", str(POINTS))
                patch.setenv("EE_FAULT_POINTS", str(self.points))
                self.engine.start()
            register_test_apps(self.engine.data, self.shared / "apps")
            keeper = threading.Thread(target=self._keep_dispatchers, name="keeper", daemon=True)
            stack.callback(self._end_dispatchers, keeper)
            self._keeping.set()
            keeper.start()
            yield self

    def _start_kinds(self, stack: ExitStack) -> Iterator[Kind]:
        for name, start in KINDS.items():
            kind = start(stack, self.folder)
            if isinstance(kind, Kind):
                yield kind
            elif os.environ.get("CI"):
                pytest.fail(f"{name}: {kind}")
            else:
                self.without[name] = kind.strip()

    def _make_engine(self) -> Stack:
        settings = SETTINGS | {
            "lease_seconds": "1",
            # Of HTCondor: a submission that is given up before its files have arrived is in the way for five minutes.
            "submit_timeout_seconds": "5",
            "default_client_group": self.kinds[0].name,
            "worker_url": f"http://127.0.0.1:{self.to_engine.port}/services/ee",
            "mongo_url": f"mongodb://127.0.0.1:{self.to_mongod.port}/?directConnection=true",
        }
        keys = "".join(f"{name.replace('_', '-')} = {value}\n" for name, value in settings.items())
        config = f"[execution_engine]\n{keys}" + "".join(kind.config() for kind in self.kinds)
        folder = self.folder / "engine"
        folder.mkdir()
        return Stack(folder, config)

    def start_mongod(self) -> None:
        """Returns when it takes writes."""
        with (self.folder / "mongod.log").open("ab") as log:
            self._mongod_process = subprocess.Popen(self._mongod.command(), stdout=log, stderr=log)
        wait_until(self._mongod.ready, START_SECONDS, "mongod")

    def kill_mongod(self) -> None:
        """Returns when it is gone."""
        assert self._mongod_process
        self._mongod_process.kill()
        self._mongod_process.wait()

    def kill_acting_dispatcher(self) -> None:
        """The one that holds the lease, whichever that is."""
        pid = wait_until(lambda: acting_dispatcher(self.engine), PATIENCE_SECONDS, "a dispatcher that acts")
        kill(pid)

    def kill_all_dispatchers(self) -> None:
        """And start none until :meth:`start_dispatchers`."""
        self._keeping.clear()
        kill(self.engine.pid("dispatcher"), *(process.pid for process in self._dispatchers))

    def start_dispatchers(self) -> None:
        """Keep stand-bys again."""
        self._keeping.set()

    @contextmanager
    def no_supervisor(self) -> Iterator[None]:
        """What dies is not started again within the block."""
        assert self.engine.process
        kill(self.engine.process.pid, number=signal.SIGSTOP)
        try:
            yield
        finally:
            kill(self.engine.process.pid, number=signal.SIGCONT)

    def wait_restarted(self, name: str) -> None:
        """Wait until the supervisor has started a killed child again."""
        wait_until(lambda: self.engine.pid(name) in processes_of(self.engine.folder), PATIENCE_SECONDS, name)

    def arm(self, point: str, times: int = 1) -> None:
        """So many processes will die at the point."""
        for n in range(times):
            (self.points / f"{point}.{n}").touch()

    def disarm(self) -> None:
        """Nobody dies any more."""
        for file in self.points.iterdir():
            file.unlink(missing_ok=True)

    def armed(self) -> list[str]:
        """The points that nobody has reached yet."""
        return sorted(file.name for file in self.points.iterdir())

    def _keep_dispatchers(self) -> None:
        while not self._over.wait(0.1):
            if self._keeping.is_set():
                self._dispatchers = [process for process in self._dispatchers if process.poll() is None]
                while len(self._dispatchers) < STAND_BYS:
                    self._dispatchers.append(self._one_more_dispatcher())

    def _one_more_dispatcher(self) -> subprocess.Popen[bytes]:
        variables = {"PYTHONPATH": str(POINTS), "EE_FAULT_POINTS": str(self.points)}
        return start_dispatcher(self.engine, variables=variables)

    def _end_dispatchers(self, keeper: threading.Thread) -> None:
        self._over.set()
        keeper.join()
        for process in self._dispatchers:
            process.kill()
            process.wait()

    def _end_mongod(self) -> None:
        self.kill_mongod()
        self._mongod.remove_socket_folder()
