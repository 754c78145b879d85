"""Runs the embedded stack in the foreground, tells where it is, and stops it as asked."""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from execution_engine import __version__
from execution_engine.backends.kinds import build_backends
from execution_engine.cli.demo import USER, DemoStopped, run_demo
from execution_engine.cli.exit_codes import Exit
from execution_engine.cli.screen import complain, note
from execution_engine.embedded.bootstrap import TOKENS_NAME
from execution_engine.embedded.folder import data_folder
from execution_engine.embedded.plan import Plan, Wishes, make_plan
from execution_engine.embedded.ports import is_loopback
from execution_engine.embedded.processes import end_leftovers
from execution_engine.embedded.stack import DISPATCHER, endpoints, start_stack
from execution_engine.embedded.supervisor import StartFailed, StopRequested, Supervisor
from execution_engine.store.tokens import load_cipher

JOBS_STOP_SECONDS = 15.0


def run(data: Path, wishes: Wishes, *, allow_remote: bool, demo: bool) -> Exit:
    """Runs the stack until a signal asks to stop.

    Raises:
        ConfigurationError: folder, port, settings or database can't be used.
        click.UsageError: the address is open to other machines and ``allow_remote`` is not given.
    """
    with data_folder(data) as folder:
        if left := end_leftovers(folder):
            note(f"Ended what a killed run had left behind: {', '.join(left)}.")
        plan = make_plan(folder, wishes)
        try:
            return _run_plan(plan, allow_remote=allow_remote, demo=demo)
        finally:
            if plan.mongod:
                plan.mongod.remove_socket_folder()


def _run_plan(plan: Plan, *, allow_remote: bool, demo: bool) -> Exit:
    if not (allow_remote or is_loopback(plan.settings.host)):
        raise click.UsageError(
            f"{plan.settings.host} can be reached from other machines, and whoever reaches this engine and has a "
            "token runs programs here. If that is meant, add --allow-remote."
        )
    # What the processes would complain about in their logs is better said here.
    load_cipher(plan.settings.token_key_file)
    build_backends(plan.settings)
    print(f"Execution Engine {__version__}, data in {plan.folder}")
    try:
        _supervise(plan, demo=demo)
    except StartFailed as error:
        complain(str(error))
        return Exit.JOB_ERROR
    print(f"Stopped. All jobs and logs are kept in {plan.folder}.")
    return Exit.OK


def _supervise(plan: Plan, *, demo: bool) -> None:
    with Supervisor(plan.folder, note) as supervisor:
        try:
            start_stack(plan, supervisor, _step)
            if demo:
                with _demonstration(plan):
                    supervisor.watch()
            else:
                _announce(plan)
                supervisor.watch()
        except StopRequested:
            pass
        print("Stopping …", flush=True)
        if supervisor.stop_signal is signal.SIGINT:
            # Nobody may start jobs any more, and the others must be there to take the last reports.
            supervisor.stop(DISPATCHER)
            for backend in build_backends(plan.settings).values():
                backend.stop_all(JOBS_STOP_SECONDS)


@contextmanager
def _step(name: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"  {name:26} ready in {time.monotonic() - start:.1f} s", flush=True)


@contextmanager
def _demonstration(plan: Plan) -> Iterator[None]:
    """The demonstration, and then the announcement, beside what the block does; at its end both stop."""
    over = threading.Event()

    def pause(seconds: float) -> None:
        if over.wait(seconds):
            raise DemoStopped

    def show() -> None:
        try:
            run_demo(endpoints(plan), plan.folder / TOKENS_NAME, pause)
        except DemoStopped:
            return
        _announce(plan)

    thread = threading.Thread(target=show, name="demonstration", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)  # it may draw a progress bar, which hides the cursor until its end


def _announce(plan: Plan) -> None:
    program = _program()
    where = "" if plan.folder == Path("data").absolute() else f" --data {plan.folder}"
    print(f"\n  Endpoint   {plan.settings.external_url}")
    if plan.settings.embedded_services:
        print(f"  Tokens     {plan.folder / TOKENS_NAME}  (alice, bob, admin)")
    print(f"  Logs       {plan.folder / 'logs'}")
    print(f"\nIn another terminal, as {USER}:")
    for words in ("submit sequence_tools.find_orfs sequence=NC_005816 --follow", "jobs", "status", "--help"):
        print(f"  {program} {words}{where if words != '--help' else ''}")
    print("\nThe engine keeps running until Ctrl-C.", flush=True)


def _program() -> str:
    """How to call this program again: its name if it is on PATH, else its path."""
    return "execution-engine" if shutil.which("execution-engine") else os.path.relpath(sys.argv[0])
