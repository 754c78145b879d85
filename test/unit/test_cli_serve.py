import os
import sys
import types
from pathlib import Path

import click.testing
import pytest

from execution_engine.cli.serve import serve
from execution_engine.core.errors import ConfigurationError
from execution_engine.store.tokens import new_key
from execution_engine.wsgi import GIVE_UP, application


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KB_DEPLOYMENT_CONFIG", raising=False)
    monkeypatch.setenv("EE_TOKEN_KEY", new_key())


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


@pytest.mark.parametrize("program", ["web", "dispatcher"])
@pytest.mark.parametrize(
    ("text", "complaint"),
    [("token-key-file = /nowhere", r"The key file /nowhere \(token-key-file\) can't be read"), ("prot = 1", "port")],
)
def test_a_wrong_setting_is_said_before_the_part_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, text: str, complaint: str
) -> None:
    (tmp_path / "deploy.cfg").write_text(f"[execution_engine]\n{text}\n")
    monkeypatch.setenv("KB_DEPLOYMENT_CONFIG", str(tmp_path / "deploy.cfg"))
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it must not run"))
    with pytest.raises(ConfigurationError, match=complaint):
        click.testing.CliRunner().invoke(serve, [program], catch_exceptions=False)


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
