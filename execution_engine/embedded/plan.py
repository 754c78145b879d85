"""The settings of one data folder: the generated ``deploy.cfg`` of its processes, and the files that it names.

What the user's own file (KB_DEPLOYMENT_CONFIG) says wins over the generated values key by key.
"""

import configparser
import io
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

from execution_engine.config import Settings, load
from execution_engine.core.errors import ConfigurationError
from execution_engine.embedded.mongod import Mongod, find_mongod, version_of
from execution_engine.embedded.ports import LOOPBACK, bracketed, reachable_name, usable_port
from execution_engine.embedded.private_file import write_private

SECTION = "execution_engine"
CONFIG_NAME = "deploy.cfg"
ENGINE_PATH = "/services/ee"
SERVICE_PATHS = {"auth": "/services/auth", "workspace": "/services/ws", "catalog": "/services/catalog"}
_HEADER = """\
# Written by `execution-engine up` at every start. Put your own settings into another file,
# and name that file in KB_DEPLOYMENT_CONFIG: its keys win.

"""


@dataclass(frozen=True)
class Plan:
    """What is to run: settings, the mongod to start (None: the user's own runs already), a port for the services."""

    folder: Path
    settings: Settings
    mongod: Mongod | None
    services_port: int

    @property
    def config_file(self) -> Path:
        """The generated deploy.cfg."""
        return self.folder / CONFIG_NAME


@dataclass(frozen=True)
class Wishes:
    """What the command line and the environment say; None where they say nothing."""

    host: str | None = None
    port: int | None = None
    config_file: str | None = None
    mongod: str | None = None


def make_plan(folder: Path, wishes: Wishes) -> Plan:
    """Decides ports, programs and settings for ``folder``; writes its deploy.cfg and key; starts nothing.

    Host and port of the command line win over the user's file, the user's file over our defaults.

    Raises:
        ConfigurationError: the port is taken, there is no MongoDB, another mongod has the files, or the user's file
            is wrong.
    """
    user, users_settings = _read_user(folder, wishes.config_file)
    users_keys = set(user[SECTION]) if user.has_section(SECTION) else set()

    host = wishes.host or users_settings.host
    port = usable_port(host, users_settings.port if wishes.port is None else wishes.port)
    mongod = None
    if "mongo-url" not in users_keys:
        program = find_mongod(wishes.mongod)
        version_of(program)
        mongod = Mongod.in_folder(folder / "mongo", program)
    services_port = _services_port(folder)

    config = configparser.ConfigParser(interpolation=None)
    config.read_dict({SECTION: _generated(folder, host, port, services_port)})
    if mongod:
        config[SECTION]["mongo-url"] = mongod.url
    if {"auth-url", "workspace-url", "catalog-url"} <= users_keys:
        config[SECTION].update({"embedded-services": "false", "service-token-file": ""})
    if "token-key-file" not in users_keys:
        _make_key(Path(config[SECTION]["token-key-file"]))
    config.read_dict(user)
    config[SECTION].update({"host": host, "port": str(port), "data-dir": str(folder)})
    text = io.StringIO(_HEADER)
    text.seek(0, io.SEEK_END)
    config.write(text)
    write_private(folder / CONFIG_NAME, text.getvalue())
    return Plan(folder, load(folder / CONFIG_NAME), mongod, services_port)


def _read_user(folder: Path, file: str | None) -> tuple[configparser.ConfigParser, Settings]:
    """The user's own file, as written and as understood."""
    user = configparser.ConfigParser(interpolation=None)
    generated = folder / CONFIG_NAME
    if not file or (generated.exists() and Path(file).exists() and generated.samefile(file)):
        return user, Settings()  # of the processes' own file none of last time's values may stay
    settings = load(file)  # complains about what is wrong in it
    user.read(file, encoding="utf-8")
    return user, settings


def _generated(folder: Path, host: str, port: int, services_port: int) -> dict[str, str]:
    services = f"http://{LOOPBACK}:{services_port}"
    outside = socket.gethostname() if host in ("0.0.0.0", "::") else bracketed(host)  # noqa: S104 - compared, not bound
    return {
        "external-url": f"http://{outside}:{port}{ENGINE_PATH}",
        "worker-url": f"http://{bracketed(reachable_name(host))}:{port}{ENGINE_PATH}",
        "auth-url": services + SERVICE_PATHS["auth"],
        "workspace-url": services + SERVICE_PATHS["workspace"],
        "catalog-url": services + SERVICE_PATHS["catalog"],
        "embedded-services": "true",
        "service-token-file": str(folder / "service.token"),
        "token-key-file": str(folder / "secret.key"),
        # One machine has few jobs, and somebody who watches them.
        "heartbeat-seconds": "1",
        "heartbeat-write-seconds": "0.5",
    }


def _services_port(folder: Path) -> int:
    """The port of the run before, so that apps which outlive a restart still find the services; else a free one."""
    before = configparser.ConfigParser(interpolation=None)
    before.read(folder / CONFIG_NAME, encoding="utf-8")
    old = urlsplit(before.get(SECTION, "auth-url", fallback=""))
    if old.hostname == LOOPBACK and old.port:
        try:
            return usable_port(LOOPBACK, old.port)
        except ConfigurationError:
            pass
    return usable_port(LOOPBACK, 0)


def _make_key(file: Path) -> None:
    """The key that encrypts users' tokens; an existing one stays, or the stored tokens would be lost."""
    if not file.exists():
        write_private(file, Fernet.generate_key().decode() + "\n")
