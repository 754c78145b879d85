"""Whether apps can run under an account of their own, found out by trying."""

import contextlib
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from execution_engine.backends.local.wrapper import environment
from execution_engine.core.errors import ConfigurationError

AUTO = "auto"
NONE = "none"
UNPRIVILEGED = "nobody"
# Numbers without names, which Linux distributions leave free for accounts of a moment.
FIRST_NUMBER, LAST_NUMBER = 61_184, 65_519
PRIVATE = 0o700
TRAVERSABLE = 0o711  # others reach what they are given inside, and list nothing
_PROBE_SECONDS = 20.0
# What an app does: write into its folder, read what belongs to it.
_PROBE = """
import os, sys
work, *apps = sys.argv[1:]
with open(os.path.join(work, "probe"), "w") as file:
    file.write("probe")
def fail(error):
    raise error
for app in apps:
    for folder, _, names in os.walk(app, onerror=fail):
        for name in names:
            open(os.path.join(folder, name), "rb").close()
"""


@dataclass(frozen=True, slots=True)
class Isolation:
    """The account that apps run under, None for the engine's own, and the sentence about it for the operator.

    ``search_path``: where programs are looked for, without folders that the account can't enter. ``is_shared``: it is
    the same for all; else ``account`` is only the first of the numbers, of which each attempt gets one for itself.
    """

    account: str | None
    sentence: str
    search_path: str
    is_shared: bool = True

    @property
    def folder_mode(self) -> int:
        """The mode of the folders on an app's way to its own."""
        return TRAVERSABLE if self.account else PRIVATE


class Numbers:
    """Hands out the numbers of accounts, in turn, so that one is used again as late as can be."""

    def __init__(self) -> None:
        # Not always the first: what an earlier engine's jobs left is not to be found by those of this one.
        self._last = FIRST_NUMBER + secrets.randbelow(LAST_NUMBER + 1 - FIRST_NUMBER)

    def take(self, used: Collection[int | None]) -> int:
        """The next one that is not ``used``; with thousands of living attempts they are shared after all."""
        for _ in range(FIRST_NUMBER, LAST_NUMBER + 1):
            self._last = self._last + 1 if self._last < LAST_NUMBER else FIRST_NUMBER
            if self._last not in used:
                break
        return self._last


def choose(run_as: str, spool: Path, app_folders: Sequence[Path]) -> Isolation:
    """What ``run_as`` (``auto``, ``none`` or the name of an account) comes to here.

    For the trial ``spool`` is made traversable; the caller gives it the mode of the outcome.

    Raises:
        ConfigurationError: a named account does not exist or can't run apps, or the engine may not switch to it.
        OSError: the spool folder can't be used.
    """
    own = _own_name()
    search_path = environment(str(spool))["PATH"]
    trusting = f"apps run as {own}, the account of the engine: they are trusted"
    if run_as in (NONE, own) or (run_as == AUTO and os.geteuid() != 0):
        return Isolation(None, trusting, search_path)
    if run_as == AUTO:
        return _choose_by_trying(trusting, spool, app_folders, search_path)
    try:
        return Isolation(run_as, f"apps run as {run_as}", _try_out(run_as, spool, app_folders, search_path))
    except _Impossible as problem:
        raise ConfigurationError(
            f"run-as is {run_as!r}, but apps can't run under this account: {problem}. "
            f"Name another account, or {AUTO} or {NONE}."
        ) from problem


def _choose_by_trying(trusting: str, spool: Path, app_folders: Sequence[Path], search_path: str) -> Isolation:
    """An account for each app, where that can't be had one for all of them, where neither can be the engine's own."""
    number, problems = str(FIRST_NUMBER), []
    sentences = {
        number: f"each app runs under an account of its own (a number from {FIRST_NUMBER} to {LAST_NUMBER})",
        UNPRIVILEGED: f"apps run as {UNPRIVILEGED}",
    }
    for account, sentence in sentences.items():
        try:
            path = _try_out(account, spool, app_folders, search_path)
        except _Impossible as problem:
            problems.append(f"{account} can't run them: {problem}")
        else:
            return Isolation(account, sentence, path, is_shared=account != number)
    return Isolation(None, f"{trusting} ({problems[-1]})", search_path)


class _Impossible(Exception):
    """Apps can't run under the account; the text says why."""


def _try_out(account: str, spool: Path, app_folders: Sequence[Path], search_path: str) -> str:
    """The search path with which an app works under the account."""
    entry = _find(account)
    if os.geteuid() != 0:
        raise _Impossible(f"only root can switch to it, and the engine runs as {_own_name()}")
    open_path = os.pathsep.join(place for place in search_path.split(os.pathsep) if _may_enter(Path(place), entry))
    python = shutil.which("python3", path=open_path) or sys.executable
    spool.chmod(TRAVERSABLE)
    with _work_folder(spool, entry) as work:
        apps = [str(folder) for folder in app_folders if folder.is_dir()]
        try:
            answer = subprocess.run(
                [python, "-I", "-S", "-c", _PROBE, str(work), *apps],
                user=entry.uid,
                group=entry.gid,
                extra_groups=[],
                cwd="/",
                env=environment(str(work)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_PROBE_SECONDS,
                check=False,
            )
        except OSError as error:
            raise _Impossible(f"it can't start {python}: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise _Impossible(f"{python} did not answer within {_PROBE_SECONDS:.0f} s") from error
    if answer.returncode:
        lines = answer.stderr.decode(errors="replace").strip().splitlines()
        raise _Impossible(lines[-1] if lines else f"{python} ended with code {answer.returncode}")
    return open_path


class _Entry(NamedTuple):
    uid: int
    gid: int


def _find(account: str) -> _Entry:
    if account.isdecimal():
        return _Entry(int(account), int(account))
    try:
        found = pwd.getpwnam(account)
    except KeyError:
        raise _Impossible("there is no such account on this machine") from None
    return _Entry(found.pw_uid, found.pw_gid)


def _may_enter(folder: Path, entry: _Entry) -> bool:
    """Whether the account may use a folder and all above it; by its first group alone, the only one that apps get."""
    for place in (folder, *folder.parents):
        try:
            found = place.stat()
        except OSError:
            return False
        own = stat.S_IXUSR if found.st_uid == entry.uid else None
        group = stat.S_IXGRP if found.st_gid == entry.gid else None
        if not found.st_mode & (own or group or stat.S_IXOTH):
            return False
    return True


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@contextlib.contextmanager
def _work_folder(spool: Path, entry: _Entry) -> Iterator[Path]:
    """A folder where an app's would be, of the account."""
    work = Path(tempfile.mkdtemp(prefix=".probe-", dir=spool))
    try:
        os.chown(work, *entry)
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
