import pytest

from execution_engine.backends.awe import AweBackend, options
from execution_engine.backends.awe.sightings import Delays
from execution_engine.config import BackendSettings, ClientGroupSettings, Settings
from execution_engine.core.errors import ConfigurationError

SETTINGS = Settings(
    worker_url="http://ee/services/ee",
    client_groups={
        "njs": ClientGroupSettings("njs", ("awe",)),
        "bigmem": ClientGroupSettings("bigmem", ("local", "awe")),
        "hpc": ClientGroupSettings("hpc", ("slurm",)),
    },
)


def read(**given: str) -> options.AweOptions:
    chosen = {key.replace("_", "-"): value for key, value in {"url": "http://awe:8001", **given}.items()}
    return options.read(BackendSettings("awe", "awe", chosen), SETTINGS)


def test_a_url_is_enough() -> None:
    chosen = read()
    assert (chosen.url, chosen.worker_url) == ("http://awe:8001", "http://ee/services/ee")
    assert chosen.groups == {"njs": "njs", "bigmem": "bigmem"}
    assert (chosen.worker_cpus, chosen.worker_memory_mb, chosen.delays) == (None, None, Delays())


def test_a_backend_is_made_while_nothing_answers() -> None:
    section = BackendSettings("far", "awe", {"url": "http://127.0.0.1:9"})
    assert AweBackend.from_settings(section, SETTINGS).name == "far"


def test_groups_have_other_names_in_awe() -> None:
    assert read(**{"group.bigmem": "kbase_big,kbase"}).groups == {"njs": "njs", "bigmem": "kbase_big,kbase"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url": ""}, "url is ''; expected the URL of the AWE server"),
        ({"url": "awe:8001"}, "expected the URL of the AWE server, like http://awe:8001"),
        ({"url": "http://awe:0"}, "url is"),
        ({"url": "http://awe/?query"}, "url is"),
        ({"url": "http://[awe"}, "url is"),
        ({"command": "/bin/sh -c"}, "command is '/bin/sh -c'; expected the name of a program in the workers' PATH"),
        ({"command": "run@it"}, "command is"),
        ({"pipeline": "a,b"}, "pipeline is 'a,b'; expected the name of the engine's jobs in AWE"),
        ({"lost_seconds": "long"}, "lost-seconds is 'long'; expected a whole number"),
        ({"worker_cores": "4"}, "has no option worker-cores; the kind awe knows url, token-file"),
    ],
)
def test_what_can_not_be_used_is_said(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**given)
    assert message in caught.value.message
    assert "[backend:awe]" in caught.value.message
