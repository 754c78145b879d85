"""The contract's calls, answered from the table of living attempts and from the spool."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

import execution_engine
from execution_engine.backends import runner_archive
from execution_engine.backends.base import (
    Absent,
    Accepted,
    Backend,
    Found,
    QueueEntry,
    Refused,
    Resources,
    Sighting,
    SightingState,
    Submission,
    Unknown,
    is_tag,
)
from execution_engine.backends.local import accounts, processes, slots, wrapper
from execution_engine.backends.local.job import LocalJob
from execution_engine.backends.local.job_folder import JobSpec
from execution_engine.backends.local.spool import Spool
from execution_engine.backends.local.table import JobTable
from execution_engine.backends.options import Options
from execution_engine.config import BackendSettings, Settings
from execution_engine.core.errors import BackendUnavailable, ConfigurationError


class LocalBackend(Backend):
    """Runs attempts as detached processes; backend id and tag are the same.

    Nothing happens between calls: each one first takes note of what ended, and then starts what fits. The truth is on
    disk, so a new instance, in this process or in another, goes on where one that died stopped.
    """

    kind: ClassVar[str] = "local"
    settle_seconds = 1.0  # a folder appears at once and whole; this is for a call that is just about to make it

    def __init__(
        self,
        name: str,
        folder: Path,
        runner_command: Sequence[str],
        worker_url: str,
        *,
        cpus: int | None = None,
        memory_mb: int | None = None,
        run_as: str = accounts.AUTO,
        app_folders: Sequence[Path] = (),
        keep_seconds: float = 3600.0,
        cancel_grace_seconds: float = 15.0,
    ) -> None:
        """A backend over ``folder``.

        ``runner_command``: program and first arguments of the runner. ``cpus`` and ``memory_mb``: what jobs may take,
        by default the CPUs and most of the memory of this machine; more than it has is allowed. ``app_folders``: what
        the account ``run_as`` must be able to read. ``keep_seconds``: how long the folders of ended attempts stay.

        Raises:
            ConfigurationError: ``run_as`` names an account that can't be used.
        """
        super().__init__(name)
        self._spool = Spool(folder.absolute())
        self._table = JobTable(self._spool, slots.machine(cpus, memory_mb), cancel_grace_seconds, self._launch)
        self._runner_command = list(runner_command)
        self._worker_url = worker_url
        self._run_as = run_as
        self._app_folders = list(app_folders)
        self._keep_seconds = keep_seconds
        self._isolation: accounts.Isolation | None = None
        self._numbers = accounts.Numbers()
        self._last_order = 0
        self._swept_at = time.monotonic()
        self._lock = threading.RLock()
        with contextlib.suppress(OSError):  # each call will say so, until somebody mends the folder
            self._prepare()

    @classmethod
    def from_settings(cls, section: BackendSettings, settings: Settings) -> Self:
        """Options: ``cpus``, ``memory-mb``, ``run-as`` and ``keep-seconds``, see the constructor."""
        options = Options(section)
        cpus, memory_mb = options.integer("cpus", None), options.integer("memory-mb", None)
        run_as, keep_seconds = options.text("run-as", accounts.AUTO), options.integer("keep-seconds", 3600, at_least=0)
        options.finish()
        data = Path(settings.data_dir).absolute()
        try:
            archive = runner_archive.build(data / "runner")
        except OSError as error:
            raise ConfigurationError(
                f"data-dir is {settings.data_dir!r}, but the runner can't be written there: {error.strerror}. "
                "Name a folder that the engine can write."
            ) from error
        return cls(
            section.name,
            data / ("local" if section.name == "local" else f"local-{section.name}"),
            [sys.executable, "-I", "-S", str(archive)],
            settings.worker_url,
            cpus=cpus,
            memory_mb=memory_mb,
            run_as=run_as,
            app_folders=[Path(execution_engine.__path__[0]) / "examples"],
            keep_seconds=float(keep_seconds or 0),
        )

    @property
    def notice(self) -> str:
        """Under which account apps run and what that means, for the operator."""
        return self._isolation.sentence if self._isolation else "not known: the folder of the jobs can't be used"

    def submit(self, jobs: Sequence[Submission]) -> dict[str, Accepted | Refused]:
        """Accepted means: on the disk; it starts at once if there is room. A full disk refuses for now."""
        with self._call():
            outcomes: dict[str, Accepted | Refused] = {}
            failure: OSError | None = None
            for job in jobs:
                if sentence := self._why_refused(job):
                    outcomes[job.tag] = Refused(sentence, transient=False)
                    continue
                failure = failure or self._accept(job)
                outcomes[job.tag] = (
                    Refused(self._unusable(failure).message, transient=True) if failure else Accepted(job.tag)
                )
            self._spool.sync()
            self._table.advance()
            return outcomes

    def poll(self, backend_ids: Iterable[str]) -> dict[str, Sighting]:
        """An id without a folder is GONE when no process of it is found on this machine."""
        with self._call():
            reasons = self._waiting_reasons()
            sightings: dict[str, Sighting] = {}
            traceless = []
            for backend_id in backend_ids:
                if job := self._table.jobs.get(backend_id):
                    sightings[backend_id] = job.sighting(reasons.get(backend_id))
                elif ended := self._sighting_of_folder(backend_id):
                    sightings[backend_id] = ended
                else:
                    traceless.append(backend_id)
            return sightings | _confirm_gone(traceless)

    def find(self, tags: Iterable[str]) -> dict[str, Found | Absent | Unknown]:
        """Looks for the folders."""
        with self._call():
            found: dict[str, Found | Absent | Unknown] = {}
            for tag in tags:
                try:
                    found[tag] = Found(tag) if self._spool.find(tag) else Absent()
                except OSError as error:
                    found[tag] = Unknown(f"The folder of {tag} can't be looked at: {error.strerror}.")
            return found

    def cancel(self, backend_ids: Iterable[str]) -> None:
        """What waits never starts; what runs gets a TERM, and after the grace a KILL."""
        with self._call():
            self._table.cancel(backend_ids)
            self._table.advance()

    def resources(self) -> Resources:
        """CPUs and memory as jobs ask for them, not as they use them."""
        with self._call():
            room, free = self._table.room, self._table.free()
            return Resources(
                cpus_total=room.cpus,
                cpus_used=room.cpus - free.cpus,
                memory_mb_total=room.memory_mb,
                memory_mb_used=room.memory_mb - free.memory_mb,
                slots_total=room.cpus,
                slots_used=room.cpus - free.cpus,
                running=len(self._table.occupying()),
                waiting=len(self._table.waiting()),
            )

    def queue(self) -> list[QueueEntry]:
        """Those that wait in their order, then those that run."""
        with self._call():
            reasons = self._waiting_reasons()
            positions = {tag: position for position, tag in enumerate(reasons, 1)}
            entries = []
            for tag in [*positions, *(self._table.jobs.keys() - positions.keys())]:
                job = self._table.jobs[tag]
                seen = job.sighting(reasons.get(tag))
                group = job.spec.client_group if job.spec else None
                entries.append(QueueEntry(tag, tag, group, seen.state, positions.get(tag), seen.reason))
            return entries

    def forget(self, backend_ids: Iterable[str]) -> None:
        """Removes the folders of ended attempts, with all that their apps left."""
        for backend_id in backend_ids:
            self._spool.remove_ended(backend_id)

    def stop_all(self, timeout_seconds: float) -> None:
        """Asks all runners to stop and waits; kills those that did not in time. What waits goes on waiting."""
        self._table.start_no_more()  # before the call, which would first start what fits
        with self._call():
            self._table.stop_all(timeout_seconds)

    @contextlib.contextmanager
    def _call(self) -> Iterator[None]:
        """What every call does first, one at a time, and how it fails."""
        with self._lock:
            try:
                self._prepare()
                self._table.advance()
                self._sweep()
                yield
            except OSError as error:
                raise self._unusable(error) from error
            except ConfigurationError as error:  # the account, tried late because the folder could not be used before
                raise BackendUnavailable(error.message) from error

    def _unusable(self, error: OSError) -> BackendUnavailable:
        return BackendUnavailable(
            f"The folder {self._spool.folder} of the backend {self.name} can't be used: {error.strerror or error}. "
            "It must be on a disk with free space, and the engine must be able to write it."
        )

    def _prepare(self) -> None:
        self._spool.prepare(self._isolation.folder_mode if self._isolation else accounts.PRIVATE)
        if self._isolation is None:
            self._isolation = accounts.choose(self._run_as, self._spool.folder, self._app_folders)
            self._spool.prepare(self._isolation.folder_mode)

    def _why_refused(self, job: Submission) -> str | None:
        if not is_tag(job.tag):
            return f"{job.tag!r} is not the tag of an attempt."
        return slots.why_never(job.requirements, self._table.room)

    def _accept(self, job: Submission) -> OSError | None:
        """Makes the folder; answers why it can't."""
        self._last_order = max(self._last_order + 1, time.time_ns())
        mode = self._isolation.folder_mode if self._isolation else accounts.PRIVATE
        try:
            self._spool.accept(job.tag, JobSpec.of(job, self._last_order, self._own_number()), job.ticket, mode)
        except OSError as error:
            return error
        return None

    def _own_number(self) -> int | None:
        """A number that no living attempt has for its account; None if they share one."""
        if self._isolation is None or self._isolation.is_shared:
            return None
        return self._numbers.take({job.spec.uid for job in self._table.jobs.values() if job.spec})

    def _launch(self, job: LocalJob, lock: int) -> subprocess.Popen[bytes]:
        folder, spec, isolation = job.folder, job.spec, self._isolation
        assert spec  # noqa: S101  one without never starts
        assert isolation  # noqa: S101  chosen before any call
        command = [*self._runner_command, "--url", self._worker_url, "--job", spec.job_id]
        command += ["--attempt", str(spec.attempt), "--ticket-file", str(folder.ticket), "--dir", str(folder.path)]
        if isolation.account:
            command += ["--run-as", str(spec.uid or isolation.account)]
        return wrapper.start(folder, processes.boot_identity(), command, isolation.search_path, lock)

    def _sighting_of_folder(self, backend_id: str) -> Sighting | None:
        """How an attempt is that is not among those that live; None if it has no folder."""
        if not is_tag(backend_id):
            return Sighting(SightingState.UNKNOWN, reason="No id of this backend.")
        try:
            folder = self._spool.find(backend_id)
            last_word = folder.gone() if folder else None
        except OSError as error:
            return Sighting(SightingState.UNKNOWN, reason=f"Its folder can't be looked at: {error.strerror}.")
        if folder and not last_word:
            return Sighting(SightingState.UNKNOWN, reason="Its folder is just being moved.")
        return last_word

    def _waiting_reasons(self) -> dict[str, str]:
        """What holds each waiting job, by tag, in the order of the queue."""
        free = self._table.free()
        waiting = enumerate(self._table.waiting())
        return {job.folder.tag: slots.why_waiting(job.needs, free, ahead) for ahead, job in waiting}

    def _sweep(self) -> None:
        """Removes what ended attempts left, beside the calls, since it may be much; often where there is no room."""
        often = min(60.0, max(1.0, self._keep_seconds / 10))
        if time.monotonic() >= self._swept_at + (1.0 if self._spool.is_crowded() else often):
            self._swept_at = time.monotonic()
            sweep = threading.Thread(target=self._spool.sweep, args=(self._keep_seconds,), name="local-spool-sweep")
            sweep.daemon = True
            sweep.start()


def _confirm_gone(backend_ids: Sequence[str]) -> dict[str, Sighting]:
    """For attempts without a folder: whatever still runs of them can't be steered any more and is killed."""
    left = processes.kill_all(backend_ids)
    gone = Sighting(SightingState.GONE, detail="No trace of it is left on this machine.")
    ending = Sighting(SightingState.RUNNING, reason="Its last processes are being ended.")
    return {backend_id: ending if backend_id in left else gone for backend_id in backend_ids}
