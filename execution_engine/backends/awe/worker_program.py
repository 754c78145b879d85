"""The program for AWE's workers: the runner and what keeps it, as one file that any ``python3`` runs."""

import os
from pathlib import Path

from execution_engine.backends import runner_archive
from execution_engine.backends.awe import keeper

_MAIN = f"""import sys
if sys.argv[1:2] != ["--url"]:
    from ee_keeper import main
    sys.exit(main(sys.argv[1:], [sys.executable, "-I", "-S", sys.argv[0]]))
from {runner_archive.PACKAGE}.main import main
sys.exit(main(sys.argv[1:]))
"""


def write(path: Path) -> None:
    """Writes it, executable, in place of what was there: a worker that just starts the old one has it whole.

    Raises:
        OSError: the folder can't be written.
    """
    sources = {"__main__.py": _MAIN.encode(), "ee_keeper.py": Path(keeper.__file__).read_bytes()}
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(b"#!/usr/bin/env python3\n" + runner_archive.pack(runner_archive.sources() | sources))
    os.chmod(fresh, 0o755)  # noqa: PTH101, S103  every account that a worker runs under starts it
    fresh.replace(path)
