"""Starting the app, by its kind."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from .trouble import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from .account import Account

NOT_EXECUTABLE = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.ENOTDIR, errno.ELOOP, errno.EISDIR}


def launch(
    app: Mapping[str, Any], *, folder: Path, environment: Mapping[str, str], account: Account | None
) -> subprocess.Popen[bytes]:
    """The running app, in a session of its own, with pipes for stdout and stderr and nothing else of ours open.

    Raises:
        Trouble: the app is of a kind that this runner can't start, or its command can't be executed.
    """
    kind = app.get("kind")
    if kind == "command":
        return launch_command(app, folder=folder, environment=environment, account=account)
    image = f" ({app['image']})" if app.get("image") else ""
    raise Trouble(
        "container_unsupported",
        f"The app is of kind {kind}{image}, and the worker {socket.gethostname()} runs only command apps.",
    )


def launch_command(
    app: Mapping[str, Any], *, folder: Path, environment: Mapping[str, str], account: Account | None
) -> subprocess.Popen[bytes]:
    """A program of this machine, started as ``app``'s command says.

    Raises:
        Trouble: it can't be executed.
    """
    command = resolve(app["command"], Path(app["directory"]), environment["PATH"])
    identity: dict[str, Any] = {}
    if account is not None:
        identity = {"user": account.uid, "group": account.gid, "extra_groups": []}
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=folder,
            env=dict(environment),
            close_fds=True,
            start_new_session=True,
            **identity,
        )
    except OSError as error:
        if error.errno in NOT_EXECUTABLE:
            raise Trouble("app_not_executable", _why_not(command[0], error)) from error
        raise Trouble("start_failed", f"{command[0]} could not be started: {error.strerror}.") from error


def resolve(command: Sequence[str], directory: Path, search_path: str) -> list[str]:
    """The command with absolute paths: the program from PATH or the app's folder, arguments that name its files.

    ``python3`` is the first one on PATH, and where there is none, the one that executes the runner.

    Raises:
        Trouble: the program is in neither place, or there is no such folder.
    """
    if not directory.is_dir():
        raise Trouble(
            "app_not_executable",
            f"The app's folder {directory} does not exist on the worker {socket.gethostname()}: install the app there.",
        )
    program = command[0]
    found = None if "/" in program else shutil.which(program, path=search_path)
    if found is None and program == "python3":
        found = sys.executable
    if found is None:
        if "/" not in program and not (directory / program).exists():
            raise Trouble(
                "app_not_executable",
                f"The app's program {program} is neither on PATH ({search_path}) nor in {directory} on the worker"
                f" {socket.gethostname()}: install it there, or correct the app's command.",
            )
        found = str(directory / program)
    return [found, *(_in_app(argument, directory) for argument in command[1:])]


def _in_app(argument: str, directory: Path) -> str:
    """A relative path of a file of the app as absolute path; everything else as it is."""
    path = directory / argument
    return str(path) if argument and path.is_file() else argument


def _why_not(program: str, error: OSError) -> str:
    if error.errno == errno.ENOENT and os.path.exists(program):  # noqa: PTH110 - a str from here on
        why = "the interpreter that its first line names does not exist"
        what = "install it or correct the line"
    elif error.errno == errno.ENOENT:
        why, what = "there is no such file", "install it there, or correct the app's command"
    elif error.errno == errno.ENOEXEC:
        why = "it is no program of this machine"
        what = "its first line must name an interpreter (#!/usr/bin/env python3)"
    else:
        why = (error.strerror or str(error)).lower()
        what = f"make it executable (chmod +x {program})"
    return f"The app's program {program} can't be executed on the worker {socket.gethostname()}: {why}; {what}."
