from collections.abc import Callable
from pathlib import Path

import pytest

from execution_engine.config import BackendSettings, ClientGroupSettings, Settings, load
from execution_engine.config.settings import scalar_settings
from execution_engine.core.errors import ConfigurationError

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KB_DEPLOYMENT_CONFIG", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "deploy.cfg"
        path.write_text(text)
        return path

    return write


def refusal(path: Path) -> str:
    """The error's text, which must begin with the file; without the folder, for the eye."""
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(path) in caught.value.message
    return caught.value.message.replace(f"{path.parent}/", "")


def test_without_a_file_the_defaults_count() -> None:
    settings = load()
    assert settings.port == 5000
    assert settings.backends == {"local": BackendSettings("local", "local", {})}
    assert settings.client_groups == {"local": ClientGroupSettings("local", ("local",))}
    assert {f.name: getattr(settings, f.name) for f in scalar_settings()} == {
        f.name: getattr(Settings(), f.name) for f in scalar_settings()
    }


def test_a_file_changes_only_the_settings_that_it_names(write: Write) -> None:
    path = write("""
        [execution_engine]
        port = 8080
        lease-seconds = 2.5
        admin-roles = EE_ADMIN, SITE_ADMIN
        admin-read-roles =
        embedded-services = yes
        mongo-url = mongodb://db.example.org/?replicaSet=rs0&appName=%2Ftmp
        [some_other_service]
        port = 1
    """)
    changed = load(path)
    assert (changed.port, changed.lease_seconds, changed.embedded_services) == (8080, 2.5, True)
    assert changed.admin_roles == ["EE_ADMIN", "SITE_ADMIN"]
    assert changed.admin_read_roles == []
    assert changed.mongo_url == "mongodb://db.example.org/?replicaSet=rs0&appName=%2Ftmp"
    assert changed.web_workers == Settings().web_workers


def test_the_environment_names_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_DEPLOYMENT_CONFIG", str(write("[execution_engine]\nport = 8080\n")))
    assert load().port == 8080


def test_an_empty_environment_variable_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_DEPLOYMENT_CONFIG", "")
    assert load().port == 5000


def test_overrides_win_over_the_file(write: Write) -> None:
    settings = load(write("[execution_engine]\nport = 8080\nhost = ::1\n"), {"port": 9090})
    assert (settings.port, settings.host) == (9090, "::1")


def test_backends_and_client_groups_have_sections_of_their_own(write: Write) -> None:
    settings = load(
        write("""
        [execution_engine]
        default-client-group = njs
        [backend:condor-1]
        kind = condor
        schedd = submit.example.org
        [backend:local]
        cpus = 4
        [client_group:njs]
        backends = condor-1, local
        feed-ahead = 20
        [client_group:bigmem]
        backends = condor-1
    """)
    )
    assert settings.backends == {
        "condor-1": BackendSettings("condor-1", "condor", {"schedd": "submit.example.org"}),
        "local": BackendSettings("local", "local", {"cpus": "4"}),
    }
    assert settings.client_groups == {
        "njs": ClientGroupSettings("njs", ("condor-1", "local"), 20),
        "bigmem": ClientGroupSettings("bigmem", ("condor-1",)),
    }


def test_one_backend_alone_serves_the_default_group(write: Write) -> None:
    settings = load(write("[backend:big]\nkind = local\n"))
    assert settings.client_groups == {"local": ClientGroupSettings("local", ("big",))}


def test_a_client_group_says_who_may_choose_it_and_what_its_jobs_take(write: Write) -> None:
    group = load(
        write("""
        [execution_engine]
        default-client-group = bigmem
        [client_group:bigmem]
        backends = local
        open-to = alice, role:LARGE_JOBS
        memory-mb = 64000
        max-memory-mb = 128000
        max-cpus = 16
        [client_group:closed]
        backends = local
        open-to =
    """)
    ).client_groups
    assert group == {
        "bigmem": ClientGroupSettings(
            "bigmem",
            ("local",),
            open_to=("alice", "role:LARGE_JOBS"),
            defaults={"memory_mb": 64_000},
            most={"memory_mb": 128_000, "cpus": 16},
        ),
        "closed": ClientGroupSettings("closed", ("local",), open_to=()),
    }


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("open-to = Alice", "open-to has 'Alice'; expected *, or names of users and role:NAME."),
        ("open-to = role:", "open-to has 'role:'; expected"),
        ("cpus = two", "cpus is 'two'; expected a whole number."),
        ("max-disk-gb = 0", "max-disk-gb is 0; expected 1 or more."),
        ("max-cpu = 2", "has no setting 'max-cpu'. Did you mean max-cpus?"),
        ("memory-mb = 64\nmax-memory-mb = 32", "max-memory-mb is 32, less than the 64 of a job that does not say"),
        ("max-memory-mb = 32", "max-memory-mb is 32, less than the 512 of a job that does not say; lower that with"),
    ],
)
def test_what_is_wrong_in_a_client_group_is_said_with_its_place(write: Write, key: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(write(f"[client_group:local]\nbackends = local\n{key}\n"))
    assert "[client_group:local] " in raised.value.message
    assert message in raised.value.message


def test_a_client_group_has_a_name_that_calls_can_say(write: Write) -> None:
    with pytest.raises(ConfigurationError, match=r"\[client_group:big mem\]: expected a name of at most 64 letters"):
        load(write("[client_group:big mem]\nbackends = local\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "deploy.cfg: [execution_engine] has no setting 'prot'. Did you mean port?"),
        ("zzz = 1", "deploy.cfg: [execution_engine] has no setting 'zzz'."),
        ("port = http", "deploy.cfg: [execution_engine] port is 'http'; expected a whole number."),
        ("port = 80.5", "deploy.cfg: [execution_engine] port is '80.5'; expected a whole number."),
        ("lease-seconds = soon", "deploy.cfg: [execution_engine] lease-seconds is 'soon'; expected a number."),
        (
            "embedded-services = maybe",
            "deploy.cfg: [execution_engine] embedded-services is 'maybe'; expected true or false.",
        ),
        ("port = 0", "deploy.cfg: [execution_engine] port is 0; expected a number from 1 to 65,535."),
        ("port = 65536", "deploy.cfg: [execution_engine] port is 65536; expected a number from 1 to 65,535."),
        ("web-workers = 0", "deploy.cfg: [execution_engine] web-workers is 0; expected 1 or more."),
        (
            "lease-seconds = nan",
            "deploy.cfg: [execution_engine] lease-seconds is nan; expected a number from 1 to 31,622,400.",
        ),
        (
            "token-cache-seconds = nan",
            "deploy.cfg: [execution_engine] token-cache-seconds is nan; expected a number from 0 to 31,622,400.",
        ),
        (
            "credential-grace-seconds = inf",
            "deploy.cfg: [execution_engine] credential-grace-seconds is inf; expected a number from 0 to 31,622,400.",
        ),
        (
            "http-timeout-seconds = -1",
            "deploy.cfg: [execution_engine] http-timeout-seconds is -1.0; expected a number from 0.1 to 31,622,400.",
        ),
        ("default-disk-gb = -1", "deploy.cfg: [execution_engine] default-disk-gb is -1; expected 0 or more."),
        (
            "log-level = LOUD",
            "deploy.cfg: [execution_engine] log-level is 'LOUD'; expected one of DEBUG, INFO, WARNING, ERROR.",
        ),
        (
            "mongo-database = a b/c",
            (
                "deploy.cfg: [execution_engine] mongo-database is 'a b/c'; expected a name of at most 63 letters, "
                "digits, _ and -, and none of admin, config, local."
            ),
        ),
        (
            "mongo-url = nonsense",
            (
                "deploy.cfg: [execution_engine] mongo-url is 'nonsense'; expected an address like "
                "mongodb://HOST:27017/?replicaSet=NAME. The driver says: "
                "Invalid URI scheme: URI must begin with 'mongodb://' or 'mongodb+srv://'."
            ),
        ),
        (
            # MongoDB's documents have at most 16 MB, and the end of a job must always find room.
            "max-output-bytes = 20000000",
            "deploy.cfg: [execution_engine] max-output-bytes is 20000000; expected a number from 1 to 16,000,000.",
        ),
        (
            "cancel-needs = read",
            "deploy.cfg: [execution_engine] cancel-needs is 'read'; expected write or admin.",
        ),
        (
            "default-client-group = njs",
            (
                "deploy.cfg: [execution_engine] default-client-group is 'njs'; expected one of local, or add a section "
                "[client_group:njs]."
            ),
        ),
    ],
)
def test_a_wrong_setting_is_named_with_file_and_section(write: Write, text: str, message: str) -> None:
    assert refusal(write(f"[execution_engine]\n{text}\n")) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("backends = moon", "deploy.cfg: [client_group:njs] backends is moon; expected one or more of local."),
        ("backends =", "deploy.cfg: [client_group:njs] backends is empty; expected one or more of local."),
        ("", "deploy.cfg: [client_group:njs] backends is empty; expected one or more of local."),
        (
            "backends = local\nfeed-ahead = few",
            "deploy.cfg: [client_group:njs] feed-ahead is 'few'; expected a whole number.",
        ),
        (
            "backends = local\nfeed-ahead = 0",
            "deploy.cfg: [client_group:njs] feed-ahead is 0; expected 1 or more.",
        ),
        (
            "backends = local\nfeed_ahead = 3",
            "deploy.cfg: [client_group:njs] has no setting 'feed_ahead'. Did you mean feed-ahead?",
        ),
    ],
)
def test_a_wrong_client_group_is_named_with_file_and_section(write: Write, text: str, message: str) -> None:
    assert refusal(write(f"[execution_engine]\ndefault-client-group = njs\n[client_group:njs]\n{text}\n")) == message


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mongodb://", "Must provide at least one hostname"),
        ("mongodb+srv://", "expected an address like"),
        ("mongodb://db:http/", "Port contains non-digit characters"),
        ("mongodb://db/?replicaset", "key=value"),
        ("mongodb://db/?replicaSett=rs0", "Unknown option"),
        ("mongodb://db/?tls=true&tlsCAFile=/nowhere", "No such file"),
        ("mongodb://me:SEC/RET@db/", "is 'mongodb://…@db/'"),
        ("mongodb://me:SEC/RET@db/", "user name and password must be percent-encoded"),
        ("me:SECRET@db", "is '…@db'"),
    ],
)
def test_an_address_that_the_driver_can_not_use_is_refused_without_the_password(
    write: Write, url: str, reason: str
) -> None:
    text = refusal(write(f"[execution_engine]\nmongo-url = {url}\n"))
    assert text.startswith("deploy.cfg: [execution_engine] mongo-url is ")
    assert reason in text
    assert "SEC" not in text
    assert "RET" not in text


@pytest.mark.parametrize(
    "value",
    ["mongo-url = mongodb+srv://me:x@db.example.org/?replicaSet=rs0", "mongo-database = njs-2_b", "log-level = debug"],
)
def test_what_others_write_is_taken(write: Write, value: str) -> None:
    assert load(write(f"[execution_engine]\n{value}\n"))


@pytest.mark.parametrize(
    ("section", "meant"),
    [
        ("execution-engine", "execution_engine"),
        ("Execution_Engine", "execution_engine"),
        ("execution_engin", "execution_engine"),
        ("backend", "backend:NAME"),
        ("backend:", "backend:NAME"),
        ("backend_condor", "backend:NAME"),
        ("backends:condor", "backend:NAME"),
        ("Backend:condor", "backend:NAME"),
        ("client-group:njs", "client_group:NAME"),
        ("client_groups:njs", "client_group:NAME"),
        ("client_group njs", "client_group:NAME"),
    ],
)
def test_a_misspelt_section_is_refused(write: Write, section: str, meant: str) -> None:
    assert refusal(write(f"[{section}]\nx = 1\n")) == (
        f"deploy.cfg: [{section}] is no section of this engine. Did you mean [{meant}]?"
    )


@pytest.mark.parametrize(
    "section", ["execution_engine2", "NarrativeJobService", "catalog", "auth_service", "global", "handle_engine"]
)
def test_sections_of_other_services_are_passed_over(write: Write, section: str) -> None:
    assert load(write(f"[{section}]\nport = http\n")).port == 5000


def test_a_wrong_value_that_no_file_has_is_named_too() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {"port": -1})
    assert caught.value.message == "[execution_engine] port is -1; expected a number from 1 to 65,535."


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    text = refusal(tmp_path / "deploy.cfg")
    assert "can't be read: No such file or directory. KB_DEPLOYMENT_CONFIG must name a readable one." in text


@pytest.mark.parametrize("content", [b"port = 1\n", b"[a]\nkey\n", b"[execution_engine\n", b"[a]\nx = \xff\n"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "deploy.cfg"
    path.write_bytes(content)
    assert "is not a deploy.cfg: " in refusal(path)
