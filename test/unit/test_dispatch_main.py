import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from execution_engine.dispatch import __main__ as process
from execution_engine.store.tokens import new_key


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The process's signals and logging are those of the tests again."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    root, level = logging.getLogger().handlers, logging.getLogger().level
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.getLogger().handlers = root
    logging.getLogger().setLevel(level)
    logging.getLogger("execution_engine").setLevel(logging.NOTSET)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "deploy.cfg"
    path.write_text(f"[execution_engine]\ndata-dir = {tmp_path}\nmongo-url = mongodb://127.0.0.1:1/\n")
    monkeypatch.setenv("KB_DEPLOYMENT_CONFIG", str(path))
    monkeypatch.setenv("EE_TOKEN_KEY", new_key())
    return path


class Dispatcher:
    """Runs until a signal comes, which it sends itself."""

    ran: threading.Event

    def __init__(self, engine: Any, backends: Any) -> None:
        assert engine.settings.backends.keys() == backends.keys()

    def keep_post(self, stop: threading.Event) -> None:
        stop.wait()

    def run(self, stop: threading.Event) -> None:
        assert not stop.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
        self.ran.set()


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    Dispatcher.ran = threading.Event()
    monkeypatch.setattr(process, "Dispatcher", Dispatcher)
    return Dispatcher.ran


@pytest.mark.usefixtures("config")
def test_it_dispatches_until_it_is_told_to_stop(ran: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "prepare", lambda _: None)
    assert process.main() == 0
    assert ran.is_set()


@pytest.mark.usefixtures("config")
def test_it_waits_for_the_database(
    ran: threading.Event, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([AutoReconnect("connection refused"), None])

    def prepare(_: Any) -> None:
        if error := next(answers):
            raise error

    monkeypatch.setattr(process, "prepare", prepare)
    assert process.main() == 0
    assert ran.is_set()
    assert "waiting for the database: connection refused" in capsys.readouterr().out


@pytest.mark.usefixtures("config")
def test_it_may_be_stopped_while_it_waits(ran: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(_: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise AutoReconnect("connection refused")

    class NoDispatcher(Dispatcher):
        def run(self, stop: threading.Event) -> None:
            assert stop.is_set()

    monkeypatch.setattr(process, "prepare", prepare)
    monkeypatch.setattr(process, "Dispatcher", NoDispatcher)
    assert process.main() == 0
    assert not ran.is_set()


@pytest.mark.usefixtures("ran")
def test_a_wrong_setting_is_said_in_one_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("[execution_engine]\nprot = 1\n")
    assert process.main() == 2
    assert capsys.readouterr().err == f"{config}: [execution_engine] has no setting 'prot'. Did you mean port?\n"


@pytest.mark.usefixtures("config")
def test_a_database_that_refuses_is_no_reason_to_wait(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(_: Any) -> None:
        raise OperationFailure("an index of that name has another key", 86)

    monkeypatch.setattr(process, "prepare", prepare)
    assert process.main() == 1
    assert capsys.readouterr().err.startswith("The database can't be used: an index of that name has another key")
