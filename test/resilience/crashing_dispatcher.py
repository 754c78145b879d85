"""A dispatcher that stands still, as by SIGSTOP, between claim and call of the backend, and dies after the call.

The settings come from KB_DEPLOYMENT_CONFIG, as for the real one.
"""

import os
import signal
import sys
from typing import Any

from execution_engine.backends.local.backend import LocalBackend
from execution_engine.dispatch.__main__ import main

submit = LocalBackend.submit


def submit_late(*arguments: Any) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    submit(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    LocalBackend.submit = submit_late
    sys.exit(main())
