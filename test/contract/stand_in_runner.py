"""A runner for tests of backends: told by files in the folder that ``--url`` names, it leaves its traces there.

It appends a line of JSON to JOB.began. With JOB.app it starts an app in a session of its own, as the real one does;
with JOB.stubborn it does not end when it is asked to. It ends with the exit code that JOB.finish holds.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
signs, job = Path(options["--url"]), options["--job"]


def sign(name: str) -> Path:
    return signs / f"{job}.{name}"


pids = [os.getpid()]
if sign("app").exists():
    pids.append(subprocess.Popen(["sh", "-c", "sleep 600 & sleep 600"], start_new_session=True).pid)
if sign("stubborn").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))

ticket = Path(options["--ticket-file"]).read_text()
report = {"pids": pids, "ticket": ticket, "options": options, "environment": dict(os.environ)}
descriptor = os.open(sign("began"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(descriptor, json.dumps(report).encode() + b"\n")
while not sign("finish").exists():
    time.sleep(0.02)
sys.stderr.write("finishing as told\n")
sys.exit(int(sign("finish").read_text()))
