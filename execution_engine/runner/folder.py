"""The job's folder on the worker: what lies where, and who may read it."""

from __future__ import annotations

import contextlib
import json
import os
import stat

from .trouble import trouble_with_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from .account import Account
    from .work import Work


class JobFolder:
    """``work`` is the app's; the rest is the runner's own and closed to others."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.identity = root / "runner.json"
        self.spool = root / "spool"
        self.work = root / "work"
        self.scratch = self.work / "tmp"
        self.input = self.work / "input.json"
        self.output = self.work / "output.json"
        self.token = self.work / "token"
        self.progress = self.work / "progress.json"

    def claim(self, runner: str) -> None:
        """Write down who works here.

        Raises:
            FileExistsError: another runner does, or did.
            OSError: the folder can't be written.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(self.identity, json.dumps({"runner": runner}).encode(), os.O_EXCL)

    def keep_credential(self, runner: str, credential: str) -> None:
        """Write the attempt's credential down beside the runner's id.

        Raises:
            OSError: the folder can't be written.
        """
        _write(self.identity, json.dumps({"runner": runner, "credential": credential}).encode(), os.O_TRUNC)

    def prepare(self, work: Work, account: Account | None) -> None:
        """Lay out what the app finds.

        Raises:
            Trouble: the disk is full, or the folder can't be written or not be reached by the account.
        """
        try:
            self.work.mkdir(mode=0o700)
            self.scratch.mkdir(mode=0o700)
            _write(self.input, work.input_json(), os.O_EXCL)
            if work.token:
                _write(self.token, work.token.encode(), os.O_EXCL)
            if account is not None:
                self._hand_over(account)
        except OSError as error:
            raise trouble_with_folder(self.root, error) from error

    def forget_token(self) -> None:
        """The app has ended: its token has no more business here."""
        with contextlib.suppress(OSError):
            self.token.unlink()

    def _hand_over(self, account: Account) -> None:
        self.root.chmod(stat.S_IMODE(self.root.stat().st_mode) | stat.S_IXGRP | stat.S_IXOTH)
        for path in (self.scratch, *filter(os.path.lexists, (self.input, self.token)), self.work):
            os.chown(path, account.uid, account.gid)
        account.check_reach(self.work)


def read_app_file(path: Path, most: int) -> bytes:
    """The first ``most`` bytes of a file that the app left; only of a plain file, so that no link leads elsewhere.

    Raises:
        OSError: there is none, or it is something else than a plain file.
    """
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as stream:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(f"{path.name} is no plain file")
        return stream.read(most)


def _write(path: Path, data: bytes, flag: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flag, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(data)
