import os
import sys
import types

import click.testing
import pytest

from execution_engine.cli.serve import serve
from execution_engine.core.errors import ConfigurationError
from execution_engine.wsgi import GIVE_UP, application


@pytest.mark.parametrize(
    ("program", "argument"),
    [("web", 'execution_engine.wsgi:application("execution_engine.app")'), ("dispatcher", "execution_engine.dispatch")],
)
def test_a_part_takes_the_place_of_the_command(monkeypatch: pytest.MonkeyPatch, program: str, argument: str) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, command: became.append([path, *command]))
    assert click.testing.CliRunner().invoke(serve, [program]).exit_code == 0
    [[path, *command]] = became
    assert path == command[0] == sys.executable
    assert command[-1] == argument


def test_a_wrong_setting_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    module = types.ModuleType("misconfigured")

    def create_app() -> None:
        raise ConfigurationError("port is 'x'; expected a whole number.")

    module.create_app = create_app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "misconfigured", module)
    with pytest.raises(SystemExit) as ended:
        application("misconfigured")
    assert ended.value.code == GIVE_UP
    assert capsys.readouterr().err == "port is 'x'; expected a whole number.\n"
