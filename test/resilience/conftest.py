"""Engines to break. Whatever a test does to one, nothing of it runs afterwards."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from test.apps.registration import register_test_apps
from test.conftest import Stack
from test.resilience.stack_processes import kill_all_of, processes_of

pytest.register_assert_rewrite("test.resilience.crowd")

# Times that are short enough to wait for, and slots for fifty jobs whatever this machine has.
SETTINGS = {"lease_seconds": "2", "submit_timeout_seconds": "1", "heartbeat_seconds": "1"}
BACKEND = {"cpus": "64", "memory-mb": "65536", "run-as": "none"}

MakeEngine = Callable[..., Stack]


@pytest.fixture(scope="session", autouse=True)
def _quick_python() -> Iterator[None]:
    """Jobs find the tests' own python3 first, not a version manager's script that starts it in ten times the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        yield


@pytest.fixture(scope="module")
def make_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeEngine]:
    """Makes engines that know the test apps, with settings of one's own; they live until the end of the module."""
    made: list[Stack] = []

    def make(**settings: str) -> Stack:
        config = ["[execution_engine]", *_lines(SETTINGS | settings), "[backend:local]", *_lines(BACKEND)]
        engine = Stack(tmp_path_factory.mktemp("engine"), "\n".join(config))
        made.append(engine)
        engine.start()
        register_test_apps(engine.data)
        return engine

    yield make
    for engine in made:
        remove(engine)


@pytest.fixture
def engine(make_engine: MakeEngine) -> Iterator[Stack]:
    """An engine of the test's own."""
    made = make_engine()
    yield made
    remove(made)


def _lines(keys: dict[str, str]) -> list[str]:
    return [f"{key.replace('_', '-')} = {value}" for key, value in keys.items()]


def remove(engine: Stack) -> None:
    """Stop it as a user would, and then whatever is left."""
    engine.session.close()
    try:
        if engine.process is not None and engine.process.poll() is None:
            engine.stop()
            assert processes_of(engine.folder) == {}
    finally:
        kill_all_of(engine.folder)
