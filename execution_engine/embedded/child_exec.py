"""Runs a command that must not outlive the process that asked for it: ``child_exec.py PARENT_PID COMMAND ARGUMENT...``.

A program of its own, because the order to the kernel has to be given in the child, where after a fork of a
process with threads nothing but an exec is safe. Standard library only; started without site packages, it costs
little.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Replaces this process by the command; the kernel will send it SIGTERM when the parent's thread ends."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before the order was given
            sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the supervisor's own command
    except OSError as error:
        sys.exit(f"{command[0]} can't be started: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
