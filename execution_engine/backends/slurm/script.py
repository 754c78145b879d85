"""The batch script of an attempt: it carries the runner and the start ticket, and needs of a node only sh and python3.

No folder is shared with the nodes: one that is would have to be set up, mounted everywhere and kept in step with the
engine's version, while the runner is 45 kB of text. The ticket stands in the script, since other users of the cluster
may read command lines and see comments, but neither scripts nor, on the node, the file that it is put into.
"""

import base64
import shlex
import signal

from execution_engine.backends.base import TAG_VARIABLE, Submission

SETUP_FAILED = 73
STARTED_AGAIN = 75
NO_PYTHON = 127
FAILURES = {
    SETUP_FAILED: "the job's folder could not be made: there is no room, or the work folder can't be written.",
    STARTED_AGAIN: "Slurm had started the job twice; the second start was not let in.",
    NO_PYTHON: "there is no python3 where the engine's settings look for it.",
    126: "python3 can't be executed.",
}
"""Exit codes of the script without a runner, which uses none of them, and what was wrong."""

# Everything that varies is put in quoted (words) or in base64 (files), so a script has no other syntax than this.
# A folder's lock is taken before it has the name under which others look for it: what is not locked belongs to a
# script that was killed. Slurm's TERM reaches this shell alone; it waits on until the runner has ended. After a TERM
# it does not end with 0, by which a job that somebody cancels differs from one that Slurm itself throws out.
_SCRIPT = """#!/bin/sh
umask 077
export PATH=/usr/local/bin:/usr/bin:/bin {tag_variable}={tag}
stopped= runner=
trap 'stopped=yes; [ -z "$runner" ] || kill -TERM "$runner" 2>/dev/null' TERM
[ "${{SLURM_RESTART_COUNT:-0}}" = 0 ] || exit {started_again}
base={folder}
base=${{base:-${{TMPDIR:-/tmp}}}}
for left in "$base"/ee-job.*/lock; do
  if [ -O "$left" ]; then flock -n "$left" rm -rf "${{left%/lock}}"; fi
done
folder=$(mktemp -d "$base/ee-job.XXXXXXXX") && cd "$folder" && exec 9>"$folder/.lock" || exit {setup_failed}
trap 'cd / && rm -rf "$folder"' EXIT
flock 9 && mv .lock lock || exit {setup_failed}
export HOME="$folder" TMPDIR="$folder"
printf %s {ticket} >ticket && base64 -d >runner.pyz <<'END' || exit {setup_failed}
{runner}END
[ -z "$stopped" ] || exit {stopped}
{python} -I -S "$folder/runner.pyz" --url {url} --job {job} --attempt {attempt} \\
  --ticket-file "$folder/ticket" --dir "$folder/job" &
runner=$!
[ -z "$stopped" ] || kill -TERM "$runner"
until wait "$runner"; status=$?; [ "$status" -le 128 ] || ! kill -0 "$runner" 2>/dev/null; do :; done
[ -z "$stopped" ] || [ "$status" != 0 ] || status={stopped}
exit "$status"
"""


class BatchScript:
    """Writes the scripts of one backend.

    ``runner``: the archive, or any file that Python runs. ``work_folder``: where on the nodes the jobs' folders are
    made; empty means the job's own TMPDIR, or /tmp.
    """

    def __init__(self, runner: bytes, url: str, python: str, work_folder: str) -> None:
        self._runner = base64.encodebytes(runner).decode()
        self._url = url
        self._python = python
        self._work_folder = work_folder

    def of(self, job: Submission) -> str:
        """The script of one attempt."""
        return _SCRIPT.format(
            tag_variable=TAG_VARIABLE,
            tag=shlex.quote(job.tag),
            started_again=STARTED_AGAIN,
            setup_failed=SETUP_FAILED,
            stopped=128 + signal.SIGTERM,
            folder=shlex.quote(self._work_folder),
            ticket=shlex.quote(job.ticket),
            runner=self._runner,
            python=shlex.quote(self._python),
            url=shlex.quote(self._url),
            job=shlex.quote(job.job_id),
            attempt=job.attempt,
        )
