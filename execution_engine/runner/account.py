"""The account that the app runs under, if it is another than the runner's."""

from __future__ import annotations

import os
import pwd
import stat

from .trouble import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


class Account:
    """An account of this machine. ``gids``: all of its groups."""

    def __init__(self, name: str, uid: int, gid: int) -> None:
        self.name = name
        self.uid = uid
        self.gid = gid
        self.gids = {gid}

    def check_reach(self, folder: Path) -> None:
        """Make sure that the account may enter ``folder`` and all above it.

        Raises:
            Trouble: it may not; the text names the folder that is closed.
        """
        for place in (folder, *folder.parents):
            found = place.stat()
            if found.st_uid == self.uid:
                may = found.st_mode & stat.S_IXUSR
            elif found.st_gid in self.gids:
                may = found.st_mode & stat.S_IXGRP
            else:
                may = found.st_mode & stat.S_IXOTH
            if not may:
                raise Trouble(
                    "setup_failed",
                    f"The account {self.name}, which apps run under, may not enter {place}: open the folder for it"
                    f" (chmod o+x {place}), or keep the engine's data in another place.",
                )


def find_account(name: str) -> Account | None:
    """The account of that name, or number, which needs no name; None if it is the runner's own.

    Raises:
        Trouble: there is none, or this process may not switch to it.
    """
    if name.isdecimal():
        uid = gid = int(name)
    else:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise Trouble("setup_failed", f"There is no account {name} on this machine to run apps under.") from None
        uid, gid = entry.pw_uid, entry.pw_gid
    if os.geteuid() == uid:
        return None
    if os.geteuid() != 0:
        raise Trouble("setup_failed", f"The runner may not switch to the account {name}: only root may.")
    return Account(name, uid, gid)
