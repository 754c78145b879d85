import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from execution_engine.backends.condor import settings
from execution_engine.backends.kinds import build_backends
from execution_engine.config import BackendSettings, ClientGroupSettings, Settings
from execution_engine.core.errors import ConfigurationError


def read(folder: Path, worker_url: str = "http://engine/services/ee", **options: str) -> settings.CondorSettings:
    section = BackendSettings("pool", "condor", {name.replace("_", "-"): value for name, value in options.items()})
    groups = [ClientGroupSettings("njs", ("pool",)), ClientGroupSettings("hpc", ("other",))]
    return settings.read(
        section,
        Settings(data_dir=str(folder), worker_url=worker_url, client_groups={group.name: group for group in groups}),
    )


def test_one_section_is_enough(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert (found.collector, found.schedd, found.token_dir, found.timeout_seconds) == ("", "", "", 15)
    assert found.client_groups == ("njs",)
    assert found.form.runner.parent == tmp_path / "runner"
    assert found.form.groups.slots_of("njs") == "true"


def test_two_engines_and_two_backends_of_one_schedd_know_their_jobs_apart(tmp_path: Path) -> None:
    assert unquote(read(tmp_path).form.engine) == "http://engine/services/ee pool"
    assert '"' not in read(tmp_path, worker_url='http://"/').form.engine


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token_dir": "/nowhere"}, "[backend:pool] token-dir is '/nowhere'; expected a folder with token files."),
        ({"lease_seconds": "1"}, "[backend:pool] lease-seconds is '1'; expected a whole number, 10 or more."),
        ({"python": "a\tb"}, "[backend:pool] python: 'a\\tb' has characters that can't be printed; HTCondor could"),
        ({"worker_url": "http://a\nb"}, "worker-url: 'http://a\\nb' has characters that can't be printed; HTCondor"),
        ({"shedd": "a"}, "[backend:pool] has no option shedd; the kind condor knows collector, schedd, token-dir, "),
    ],
)
def test_a_wrong_option_is_named_with_what_was_expected(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, **options)
    assert str(caught.value).startswith(message)


def test_without_htcondors_library_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("execution_engine.backends.condor")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "classad2", None)
    section = BackendSettings("pool", "condor", {})
    with pytest.raises(ConfigurationError, match=r"pip install 'execution-engine\[condor\]'"):
        build_backends(Settings(data_dir=str(tmp_path), backends={"pool": section}))
