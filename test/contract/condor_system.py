"""The HTCondor backend with stand-in runners on a real pool."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from condor_pool import CondorPool
from system import STAND_IN, System

from execution_engine.backends.base import Submission
from execution_engine.backends.condor.backend import CondorBackend
from execution_engine.backends.condor.connection import Connection
from execution_engine.backends.condor.description import Form
from execution_engine.backends.condor.groups import Groups
from execution_engine.core.errors import BackendUnavailable
from test.resilience.network import Network, Weather

DIES_BEFORE_THE_FILES = """
import os, sys, htcondor2
from execution_engine.backends.condor import worker
htcondor2.Schedd.spool = lambda *_: os._exit(1)
worker.main(*sys.argv[1:])
"""


class CondorSystem(System):
    """Jobs of all client groups go to the slot of the group ``contract``; the collector is behind a network of ours."""

    cpus = CondorPool.cpus
    memory_mb = CondorPool.memory_mb
    forgets = False

    def __init__(self, folder: Path, pool: CondorPool, signs_name: str = "signs") -> None:
        # Jobs run under an account that may not enter pytest's own folder.
        open_to_all = Path(tempfile.mkdtemp(prefix="ee-signs-", dir="/tmp"))
        open_to_all.chmod(0o755)
        super().__init__(open_to_all, signs_name)
        self.signs.chmod(0o777)
        self.pool = pool
        self._folder_of_test = folder
        self._left = ExitStack()
        self._network = self._left.enter_context(Network().running())
        self._network.target = pool.port
        runner = open_to_all / "runner.pyz"
        shutil.copy(STAND_IN, runner)
        self.form = Form(runner, str(self.signs), "contract", Groups(everywhere='CLIENTGROUP == "contract"'))

    def connection(self) -> Connection:
        """To the pool, as the account that the token names."""
        connection = Connection(f"127.0.0.1:{self._network.port}", self.pool.schedd, str(self.pool.tokens))
        self._left.callback(connection.close)
        return connection

    def backend(self, **settings: Any) -> CondorBackend:
        """``settings``: arguments of the backend."""
        return CondorBackend("pool", self.connection(), self.form, ["njs", "bigmem"], **settings)

    def with_signs(self, name: str) -> "CondorSystem":
        """HTCondor takes no control characters, see ``language``."""
        return CondorSystem(self._folder_of_test, self.pool, "".join(c if c.isprintable() else " " for c in name))

    def break_down(self) -> None:
        self._network.change(Weather.REFUSING)

    def repair(self) -> None:
        self._network.change(Weather.FAIR)

    def hide(self, job: Submission) -> None:
        """The process that hands it over dies before its files are there."""
        connection = self.connection()
        connection._command[1:3] = ["-c", DIES_BEFORE_THE_FILES]
        with pytest.raises(BackendUnavailable, match="the process that asks it ended by itself"):
            CondorBackend("pool", connection, self.form).submit([job])

    def end(self) -> None:
        self.pool.clear()
        self._left.close()
        shutil.rmtree(self.folder, ignore_errors=True)
