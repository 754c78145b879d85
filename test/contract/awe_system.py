"""The AWE backend over the simulator, with stand-in runners, for the suite of the contract."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests
from system import STAND_IN, System

from execution_engine.backends.awe import AweBackend
from execution_engine.backends.awe.options import AweOptions
from execution_engine.backends.awe.sightings import Delays
from execution_engine.backends.base import Submission
from test.awe_simulator.documents import job_document
from test.awe_simulator.model import Job, Version
from test.awe_simulator.site import AweSite

GROUP = "kbase"
DELAYS = Delays(drop=1.0, stop=0.5, lost=0.5)


class AweSystem(System):
    """One worker, which serves all of the engine's client groups; a job gets all of it."""

    version: Version
    packs = False

    def __init__(self, folder: Path, signs_name: str = "signs", site: AweSite | None = None) -> None:
        super().__init__(folder, signs_name)
        self.site = site or AweSite(folder / "awe", self.version)
        if site is None:
            self.site.install([sys.executable, "-I", "-S", str(STAND_IN)])
            self.site.add_worker(GROUP, self.cpus)

    def backend(self, **settings: Any) -> AweBackend:
        """``settings``: further options of the backend."""
        chosen = AweOptions(
            url=self.site.server.url,
            worker_url=str(self.signs),
            groups={"njs": GROUP, "bigmem": GROUP},
            worker_cpus=self.cpus,
            worker_memory_mb=self.memory_mb,
            delays=DELAYS,
        )
        return AweBackend("awe", replace(chosen, **settings))

    def ask(self, method: str, path: str) -> None:
        """What somebody beside the engine wants of AWE."""
        assert requests.request(method, self.site.server.url + path, timeout=5).json()["error"] is None

    def with_signs(self, name: str) -> "AweSystem":
        """Jobs of client groups that the settings do not name go to AWE's group of that name, which needs a worker."""
        return type(self)(self.folder, name, self.site)

    def submission(self, **changes: object) -> Submission:
        job = super().submission(**changes)  # type: ignore[arg-type]
        if job.client_group not in ("njs", "bigmem"):
            self.site.add_worker(job.client_group)
        return job

    def break_down(self) -> None:
        self.site.server.stop()

    def repair(self) -> None:
        self.site.server.start()

    def hide(self, job: Submission) -> None:
        info = {"submittime": "", "userattr": {"ee_tag": job.tag}, "clientgroups": ""}
        hidden = job_document(Job("", 0, info, {}, {}, "public"), self.version)
        self.site.state.strange.append(hidden | {"tasks": None})

    def end(self) -> None:
        self.site.end()
        self.remove_signs()


class OldAweSystem(AweSystem):
    version = Version.OLD


class LastAweSystem(AweSystem):
    version = Version.LAST
