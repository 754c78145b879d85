"""The simulator's workers: they run commands as AWE's do, one at a time, with all that is odd about it."""

import contextlib
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path

from test.awe_simulator.model import AweError, Client, Job
from test.awe_simulator.state import AweState

_VARIABLE = re.compile(r"\$\{(\w+)\}")


class AweWorker:
    """One worker process of AWE, played by threads; the commands are real processes.

    ``poll``, ``heartbeat``: seconds between two questions for work, and between two signs of life.
    """

    def __init__(
        self,
        state: AweState,
        folder: Path,
        path: str,
        *,
        group: str = "kbase",
        cores: int = 8,
        poll: float = 0.05,
        heartbeat: float = 0.15,
    ) -> None:
        self._state = state
        self._folder = folder
        self._heartbeat_seconds = heartbeat
        self._poll_seconds = poll
        self.client = Client(str(uuid.uuid4()), f"worker_{uuid.uuid4().hex[:6]}", group, cores, ["*"])
        self.environment = {"PATH": path, "HOME": str(folder), "AWE_CLIENTGROUP": group}
        self._process: subprocess.Popen[bytes] | None = None
        self._work: str | None = None
        self._discarded = False
        self._identity = ""
        self._ended = threading.Event()
        state.register(self.client)
        self._threads = [threading.Thread(target=loop, daemon=True) for loop in (self._work_loop, self._heart)]
        for thread in self._threads:
            thread.start()

    def kill(self) -> None:
        """The worker is gone at once; what it has started lives on."""
        self._ended.set()
        for thread in self._threads:
            thread.join(10)

    def _heart(self) -> None:
        while not self._ended.wait(self._heartbeat_seconds):
            current = [self._work] if self._work else []
            try:
                identity, discarded = self._state.heartbeat(self.client.id, current)
            except AweError:
                self.client.current, self.client.assigned = [], []
                self._state.register(self.client)
                continue
            restarted, self._identity = self._identity not in ("", identity), identity
            if self._work in discarded or (restarted and not self._state.old):
                self._discard()

    def _discard(self) -> None:
        """Kills what it started itself, not what that has started."""
        self._discarded = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    def _work_loop(self) -> None:
        while not self._ended.wait(self._poll_seconds):
            try:
                job = self._state.checkout(self.client.id)
            except AweError:
                continue
            if job is not None:
                self._run(job)

    def _run(self, job: Job) -> None:
        work = job.work_id
        self._discarded, self._work = False, work
        folder = self._folder / work[:2] / work[2:4] / work[4:6] / work
        folder.mkdir(parents=True, exist_ok=True)
        output, errors = folder / "awe_stdout.txt", folder / "awe_stderr.txt"
        ended = self._execute(job, folder, output, errors)
        if ended is None:
            return
        logs = {}
        if not ended.startswith("exec: "):
            logs = {"stdout": output.read_text(), "stderr": errors.read_text(errors="replace")}
        if ended:
            logs["worknotes"] = worker_notes(old=self._state.old, command=job.command["name"], ended=ended)
        # 0.9.68 does not tell the server about work that it has discarded.
        if self._state.old or not self._discarded:
            self._deliver(work, ended, logs)
        if not self._ended.is_set():
            self._work = None

    def _deliver(self, work: str, ended: str, logs: dict[str, str]) -> None:
        while not self._ended.is_set():
            try:
                self._state.deliver(self.client.id, work, ended, logs)
            except AweError as error:
                if "perf" not in str(error):
                    return  # the server does not know this worker any more
                self._ended.wait(self._poll_seconds)
            else:
                return

    def _execute(self, job: Job, folder: Path, output: Path, errors: Path) -> str | None:
        """How the command ended, as Go says it; None if the worker was gone before."""
        public = job.command.get("environ", {}).get("public", {})
        given = {**public, **job.private}
        self.environment |= given
        program = shutil.which(job.command["name"], path=self.environment["PATH"])
        if program is None:
            return f'exec: "{job.command["name"]}": executable file not found in $PATH'
        arguments = split_arguments(job.command.get("args", ""), self.environment)
        with output.open("wb") as stdout, errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [program, *arguments], cwd=folder, env=self.environment, stdout=stdout, stderr=stderr
            )
        self.environment |= dict.fromkeys(given, "")  # not removed: later jobs see what is left of it
        while (code := self._process.poll()) is None:
            if self._ended.is_set():
                return None
            time.sleep(0.01)
        return "" if code == 0 else "signal: killed" if code < 0 else f"exit status {code}"


def split_arguments(text: str, environment: dict[str, str]) -> list[str]:
    """AWE's way: single quotes group, ``${VAR}`` is replaced, what has an ``@`` is taken for an input file."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.quotes, lexer.escape, lexer.commenters = True, "'", "", ""
    words = [_VARIABLE.sub(lambda match: environment.get(match[1], ""), word) for word in lexer]
    return [word for word in words if "@" not in word]


def worker_notes(*, old: bool, command: str, ended: str) -> str:
    """What a worker notes of a command that did not end well."""
    missing = ended.startswith("exec: ")
    step = f"{'start' if missing else 'wait'}_cmd={command}, err={ended}"
    if old:
        return f"###[processor#RunWorkunit]{step}"
    where = "" if missing else "(RunWorkunitDirect) "
    return f"[processor#RunWorkunit](RunWorkunit) RunWorkunitDirect returned: {where}{step}"
