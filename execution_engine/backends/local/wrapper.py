"""The small shell process that stands between the engine and one runner.

It writes down that the attempt began, waits for the runner, and writes down how it ended, so that both are known
whatever becomes of the engine meanwhile. It is a shell because one costs a millisecond and half a megabyte; it takes
everything as arguments and builds no command of them.
"""

import os
import subprocess
from collections.abc import Sequence

from execution_engine.backends.base import TAG_VARIABLE
from execution_engine.backends.local.job_folder import JobFolder

# `ln` makes `started` whole and only once: the second of two wrappers, or one that comes after a cancel, ends here.
# A TERM for the group is the runner's affair; one that comes before there is a runner means that none shall be.
# In a shell a signal that arrives while the runner is in the foreground is handled after its end, so that `$?` is its.
_SCRIPT = r"""
folder=$1 boot=$2 stopped=
shift 2
trap stopped=yes TERM
trap : HUP INT
printf '%s %s\n' "$$" "$boot" >"$folder/started.$$" && ln "$folder/started.$$" "$folder/started" 2>/dev/null
began=$?
rm -f "$folder/started.$$"
[ "$began" -eq 0 ] || exit 0
if [ -n "$stopped" ]; then status=143; else "$@"; status=$?; fi
printf '%s\n' "$status" >"$folder/exit.$$" && mv "$folder/exit.$$" "$folder/exit"
"""
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def environment(home: str) -> dict[str, str]:
    """What a runner gets of the engine's environment: never its settings or secrets."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {"PATH": _DEFAULT_PATH, **kept, "HOME": home}


def start(folder: JobFolder, boot: str, command: Sequence[str], search_path: str, lock: int) -> subprocess.Popen[bytes]:
    """Starts the wrapper around ``command``, in a session of its own.

    ``lock`` is the descriptor that holds the folder's lock; wrapper and runner inherit it, so the lock is held as long
    as one of them lives, and is free the moment the kernel has ended both.

    Raises:
        OSError: the machine can't start another process, or the folder's disk is full.
    """
    with folder.open_runner_log() as log:
        return subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "ee-wrapper", str(folder.path), boot, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder.path,
            env={**environment(str(folder.path)), "PATH": search_path, TAG_VARIABLE: folder.tag},
            start_new_session=True,
            pass_fds=[lock],
        )
