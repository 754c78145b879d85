"""The processes of this machine, seen through /proc.

A job's processes are recognised by a variable in their environment, which children inherit, whatever becomes of their
parents, groups and sessions. A pid alone says nothing: it may be a zombie's, or have been given to somebody else.
"""

import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from execution_engine.backends.base import TAG_VARIABLE, is_tag

_PROC = Path("/proc")
_MARK = TAG_VARIABLE.encode() + b"="
_KILL_ROUND_SECONDS = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)


def boot_identity() -> str:
    """Changes when the machine, or the container that this runs in, is started anew: then no process is left."""
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    first = _stat(1)  # a container keeps its host's boot id; its first process is another after a restart
    return f"{boot}/{first[19]}" if first else boot


def of_tags(tags: Collection[str]) -> dict[str, set[int]]:
    """The living processes of each tag that has some, with their descendants, found in one pass over /proc."""
    wanted = {tag.encode() for tag in tags if is_tag(tag)}
    if not wanted:
        return {}
    pids = [int(name) for name in os.listdir(_PROC) if name.isdecimal()]  # noqa: PTH208  names are all it takes
    found: dict[str, set[int]] = defaultdict(set)
    for pid in pids:
        tag = _tag(pid)
        if tag is not None and tag in wanted:
            found[tag.decode()].add(pid)
    if found:
        children, own = _children(pids), _own_line()
        for members in found.values():
            _add_descendants(members, children)
            members.difference_update(own)
    return {tag: members for tag, members in found.items() if members}


def kill_all(tags: Collection[str]) -> set[str]:
    """Kills whatever runs of these tags; returns those of which something is left, for instance waiting for a disk.

    Goes on while processes are found, since one may have forked between the look and the kill, and until the killed
    ones have ended: one that is just ending has no environment any more, but may still hold files and locks.
    """
    ending: dict[tuple[int, str], str] = {}
    for seconds in _KILL_ROUND_SECONDS:
        found = of_tags(tags)
        for tag, pids in found.items():
            ending |= {(pid, fields[19]): tag for pid in pids if (fields := _stat(pid))}
        ending = {process: tag for process, tag in ending.items() if _lives(*process)}
        if not found and not ending:
            return set()
        for pid in set[int]().union(*found.values()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        tags = found.keys() | ending.values()
        time.sleep(seconds)
    return of_tags(tags).keys() | {tag for process, tag in ending.items() if _lives(*process)}


def terminate(groups: Mapping[str, int]) -> None:
    """Sends TERM to the processes of each tag that are in the tag's process group: the wrapper and its runner.

    Not to the group by its number, which may be another's by now.
    """
    for tag, pids in of_tags(groups.keys()).items():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) == groups[tag]:
                    os.kill(pid, signal.SIGTERM)


def _lives(pid: int, start_time: str) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX" and fields[19] == start_time


def _tag(pid: int) -> bytes | None:
    """The tag of a process; None for one without, for a zombie, and for one that may not be looked at."""
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    for variable in environment.split(b"\0"):
        if variable.startswith(_MARK):
            return variable[len(_MARK) :]
    return None


def _own_line() -> set[int]:
    """This process and all above it, which are never a job's, whatever environment they were started in."""
    line = {0, 1}
    pid = os.getpid()
    while pid not in line:
        line.add(pid)
        fields = _stat(pid)
        pid = int(fields[1]) if fields else 0
    return line


def _children(pids: Collection[int]) -> dict[int, list[int]]:
    children = defaultdict(list)
    for pid in pids:
        fields = _stat(pid)
        if fields and fields[0] not in "ZX":
            children[int(fields[1])].append(pid)
    return children


def _add_descendants(members: set[int], children: dict[int, list[int]]) -> None:
    unseen = list(members)
    while unseen:
        new = [pid for pid in children.get(unseen.pop(), ()) if pid not in members]
        members.update(new)
        unseen += new


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, …, 19 is the start time; empty if it is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
