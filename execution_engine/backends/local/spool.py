"""The folders of all attempts: those that live directly in it, those that ended under ``ended/``.

An attempt is built under ``incoming/`` and moved, and moved again at its end, so that each is in exactly one place
and looking at those that live does not get slower with the number of those that ended.
"""

import contextlib
import errno
import itertools
import os
import shutil
import stat
import time
from pathlib import Path

from execution_engine.backends.base import Sighting, is_tag
from execution_engine.backends.local.job_folder import JobFolder, JobSpec

_INCOMING_SECONDS = 3600.0  # no submission takes as long: what is older was left by a killed engine
_ROOM_BYTES = 16 << 20  # with less, what a job writes at its start may fail already
_ROOM_FILES = 100


class Spool:
    """The folders. Its methods raise OSError where the disk does not do what they need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ended = folder / "ended"
        self._incoming = folder / "incoming"
        self._numbers = itertools.count()

    def prepare(self, mode: int) -> None:
        """Makes the folders that are missing; ``mode`` is that of the way to the living attempts."""
        for folder in (self._ended, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(self.folder.stat().st_mode) != mode:
            self.folder.chmod(mode)

    def tags(self) -> set[str]:
        """The attempts that live."""
        return {name for name in os.listdir(self.folder) if is_tag(name)}  # noqa: PTH208  names are all it takes

    def living(self, tag: str) -> JobFolder:
        """The place of an attempt that lives."""
        return JobFolder(self.folder / tag)

    def find(self, tag: str) -> JobFolder | None:
        """The folder of an attempt, living or ended."""
        if not is_tag(tag):
            return None
        # In this order: it may move between the two looks, and only in this direction.
        for parent in (self.folder, self._ended):
            try:
                (parent / tag).stat()
            except FileNotFoundError:
                continue
            return JobFolder(parent / tag)
        return None

    def accept(self, tag: str, spec: JobSpec, ticket: str, mode: int) -> None:
        """Makes the folder of an attempt, complete; nothing happens if it is known. ``mode``: the folder's."""
        if self.find(tag):
            return
        building = JobFolder(self._free_place(tag))
        building.path.mkdir(mode=0o700)
        try:
            building.fill(spec, ticket)
            building.path.chmod(mode)
            building.path.rename(self.folder / tag)
        except OSError:
            shutil.rmtree(building.path, ignore_errors=True)
            if not self.find(tag):  # else another call made it meanwhile
                raise

    def _free_place(self, tag: str) -> Path:
        """A folder of which nobody knows, and which is removed some time if it is left there."""
        return self._incoming / f"{tag}.{os.getpid()}.{next(self._numbers)}"

    def sync(self) -> None:
        """Returns when the disk itself knows the folders that were accepted."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def end(self, folder: JobFolder, sighting: Sighting) -> None:
        """Writes the last word about an attempt and moves it to the ended ones."""
        with contextlib.suppress(FileNotFoundError):  # another process did it meanwhile
            try:
                folder.set_gone(sighting)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                _empty(folder.path)  # perhaps this very attempt has filled the disk
                folder.set_gone(sighting)
            try:
                folder.path.rename(self._ended / folder.tag)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                # Submitted once more, by an engine that was late; the first one's last word counts.
                folder.path.rename(self._free_place(folder.tag))

    def remove_ended(self, tag: str) -> None:
        """Removes what is left of an ended attempt, never following a link that an app may have put there."""
        if is_tag(tag):
            shutil.rmtree(self._ended / tag, ignore_errors=True)

    def is_crowded(self) -> bool:
        """Whether the disk is as good as full: of bytes, or of files where it counts them."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize < _ROOM_BYTES or (disk.f_files > 0 and disk.f_favail < _ROOM_FILES)

    def sweep(self, keep_seconds: float) -> None:
        """Removes the attempts that ended longer ago, and what killed engines left unfinished.

        Where there is no room, also what runners and apps left in the folders of the others that ended.
        """
        for parent, seconds in ((self._ended, keep_seconds), (self._incoming, _INCOMING_SECONDS)):
            for folder in _older_than(parent, time.time() - seconds):
                shutil.rmtree(folder, ignore_errors=True)
        if self.is_crowded():
            for attempt in _folders(self._ended):
                _empty(attempt)


def _empty(attempt: Path) -> None:
    """Removes what runner and app left of an ended attempt; the small files that say what became of it stay."""
    for folder in _folders(attempt):
        shutil.rmtree(folder, ignore_errors=True)


def _folders(parent: Path) -> list[Path]:
    """The folders in another one, never what a link leads to; none where it is gone."""
    with contextlib.suppress(FileNotFoundError), os.scandir(parent) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []


def _older_than(parent: Path, limit: float) -> list[Path]:
    """The folders that were changed last (for an ended attempt: got its last word) before ``limit``, Unix time."""
    old = []
    with contextlib.suppress(FileNotFoundError), os.scandir(parent) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime < limit:
                    old.append(Path(entry.path))
    return old
