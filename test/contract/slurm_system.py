"""The Slurm backend with a stand-in runner on a real cluster, in both of its ways."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from slurm_cluster import SlurmCluster
from system import STAND_IN, System

from execution_engine.backends.base import Submission
from execution_engine.backends.slurm import SlurmBackend
from execution_engine.backends.slurm.settings import SlurmSettings


class SlurmSystem(System):
    """The jobs of one test go to the partition main. A subclass for each way says how it is cut off."""

    cpus = SlurmCluster.cpus
    memory_mb = SlurmCluster.memory_mb
    forgets = False

    def __init__(self, folder: Path, cluster: SlurmCluster, signs_name: str = "signs") -> None:
        super().__init__(folder, signs_name)
        self.cluster = cluster
        self.jobcomp_file = folder / "jobcomp.log"

    def settings(self) -> SlurmSettings:
        """The way to the cluster."""
        raise NotImplementedError

    def backend(self, **options: Any) -> SlurmBackend:
        """``options``: settings of the backend, and its constructor's arguments."""
        arguments = {name: options.pop(name) for name in ("settle_seconds", "handover_seconds") if name in options}
        settings = replace(self.settings(), jobcomp_file=str(self.cluster.jobcomp_file), **options)
        return SlurmBackend(
            "hpc", settings, STAND_IN.read_bytes(), str(self.signs), client_groups=["njs", "bigmem"], **arguments
        )

    def with_signs(self, name: str) -> "SlurmSystem":
        return type(self)(self.folder, self.cluster, name)

    def hide(self, job: Submission) -> None:
        """Nobody knows what has ended."""
        assert job.tag
        self.cluster.jobcomp_file.rename(self.jobcomp_file)

    def end(self) -> None:
        if self.jobcomp_file.exists():
            self.jobcomp_file.rename(self.cluster.jobcomp_file)
        self.cluster.clear()
        self.remove_signs()


class SlurmByCommands(SlurmSystem):
    """The configuration is a copy, which can be spoilt."""

    def __init__(self, folder: Path, cluster: SlurmCluster, signs_name: str = "signs") -> None:
        super().__init__(folder, cluster, signs_name)
        self.conf = folder / "slurm.conf"
        shutil.copy(cluster.conf, self.conf)

    def settings(self) -> SlurmSettings:
        return SlurmSettings(user="root", slurm_conf=str(self.conf))

    def break_down(self) -> None:
        self.conf.write_text("no configuration\n")

    def repair(self) -> None:
        shutil.copy(self.cluster.conf, self.conf)


class SlurmByRest(SlurmSystem):
    """The socket is a link, which can be taken away."""

    def __init__(self, folder: Path, cluster: SlurmCluster, signs_name: str = "signs") -> None:
        super().__init__(folder, cluster, signs_name)
        self.socket = folder / "rest"
        if not self.socket.is_symlink():
            self.socket.symlink_to(cluster.socket)

    def settings(self) -> SlurmSettings:
        url = f"unix:{self.socket}"
        return SlurmSettings(user="root", rest_url=url, token_file=str(self.cluster.token_file))

    def break_down(self) -> None:
        self.socket.unlink()

    def repair(self) -> None:
        self.socket.symlink_to(self.cluster.socket)
