import dataclasses
from pathlib import Path

import pytest

from execution_engine.backends.kinds import KINDS, build_backends
from execution_engine.config import BackendSettings, Settings
from execution_engine.core.errors import ConfigurationError


def settings(folder: Path, *sections: BackendSettings) -> Settings:
    return dataclasses.replace(
        Settings(), data_dir=str(folder), backends={section.name: section for section in sections}
    )


def test_each_section_becomes_one_backend_with_its_own_folder(tmp_path: Path) -> None:
    first = BackendSettings("local", "local", {"cpus": "3", "memory-mb": "500", "run-as": "none"})
    second = BackendSettings("large", "local", {"cpus": "64", "run-as": "none"})
    backends = build_backends(settings(tmp_path, first, second))
    assert list(backends) == ["local", "large"]
    assert [backend.name for backend in backends.values()] == ["local", "large"]
    assert [backend.resources().cpus_total for backend in backends.values()] == [3, 64]
    assert backends["local"].resources().memory_mb_total == 500
    assert {path.name for path in tmp_path.iterdir()} == {"local", "local-large", "runner"}


def test_an_unknown_kind_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_backends(settings(tmp_path, BackendSettings("hpc", "slrum", {})))
    known = ", ".join(sorted(KINDS))
    assert str(caught.value) == f"[backend:hpc] kind is 'slrum'; expected one of {known}."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cpus": "many"}, "[backend:local] cpus is 'many'; expected a whole number, 1 or more."),
        ({"memory-mb": "0"}, "[backend:local] memory-mb is '0'; expected a whole number, 1 or more."),
        (
            {"cpu": "4", "memory": "5"},
            "[backend:local] has no option cpu, memory; the kind local knows cpus, memory-mb, run-as, keep-seconds.",
        ),
    ],
)
def test_a_wrong_option_is_named_with_what_was_expected(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_backends(settings(tmp_path, BackendSettings("local", "local", options)))
    assert str(caught.value) == message


def test_a_data_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigurationError, match=r"data-dir is '.*file', but .*: Not a directory\. Name a folder"):
        build_backends(settings(blocked, BackendSettings("local", "local", {})))
