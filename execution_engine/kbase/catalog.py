"""The Catalog: which apps there are, how they want to run, and its statistics of what has run."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from execution_engine.core.errors import (
    AccountDisabled,
    AppNotFound,
    CatalogUnavailable,
    ConfigurationError,
    TokenInvalid,
    TokenMissing,
)
from execution_engine.kbase.http import HttpService
from execution_engine.kbase.jsonrpc import JsonRpc, ServiceFault
from execution_engine.kbase.modules import ModuleVersion, SecureParam, VolumeMount
from execution_engine.kbase.placement import Placement, read_placement

_NO_MODULE = "Module cannot be found"
_NO_VERSION = "No module version found"
_NO_SUBSCRIPT = "'NoneType' object is not subscriptable"  # how get_secure_config_params says "no such version"
_NO_PERMISSION = "You do not have permission"


@dataclass(frozen=True, slots=True)
class Execution:
    """A job that ran and ended, for the Catalog's statistics. ``app_module_name`` and ``app_id`` come together."""

    job_id: str
    user_id: str
    func_module_name: str
    func_name: str
    git_commit_hash: str
    created: dt.datetime
    started: dt.datetime
    finished: dt.datetime
    is_error: bool
    app_module_name: str | None = None
    app_id: str | None = None

    def record(self) -> dict[str, Any]:
        """As the Catalog takes it: times in seconds since the epoch, absent fields left out."""
        record = {
            "user_id": self.user_id,
            "app_module_name": self.app_module_name,
            "app_id": self.app_id,
            "func_module_name": self.func_module_name,
            "func_name": self.func_name,
            "git_commit_hash": self.git_commit_hash,
            "creation_time": self.created.timestamp(),
            "exec_start_time": self.started.timestamp(),
            "finish_time": self.finished.timestamp(),
            "is_error": int(self.is_error),
            "job_id": self.job_id,
        }
        return {key: value for key, value in record.items() if value is not None}


class Catalog:
    """The Catalog at one URL. Every method raises CatalogUnavailable when it is out of reach.

    The methods with a token want the engine's own one, of an account with the role CATALOG_ADMIN, and raise
    ConfigurationError if the Catalog does not accept it.
    """

    def __init__(self, url: str, timeout: float = 10.0, *, connections: int = 16) -> None:
        http = HttpService("Catalog", url, CatalogUnavailable, timeout=timeout, connections=connections)
        self._rpc = JsonRpc(http, "Catalog")

    def ping(self) -> None:
        """Nothing, if the Catalog answers; which answer does not matter."""
        with suppress(ServiceFault):
            self._rpc.call("version", [])

    def module_version(self, module: str, version: str | None = None) -> ModuleVersion:
        """One version of a module.

        ``version``: release, beta, dev, a commit, a semantic version or a range of such; None takes the most stable.

        Raises:
            AppNotFound: no such module, or no such version of it.
        """
        params = {"module_name": module} if version is None else {"module_name": module, "version": version}
        with self._rpc.understood("get_module_version"), _named(module, version):
            return ModuleVersion.from_record(self._rpc.call("get_module_version", [params]))

    def owners(self, module: str) -> tuple[str, ...]:
        """The names of those whose module it is.

        Raises:
            AppNotFound: no such module.
        """
        with self._rpc.understood("get_module_info"), _named(module, None):
            return tuple(self._rpc.call("get_module_info", [{"module_name": module}])["owners"])

    def placement(self, module: str, function: str) -> Placement:
        """Where the function is to run, and with what.

        Raises:
            AppMisconfigured: what the Catalog's administrators wrote can't be used.
        """
        params = {"module_name": module, "function_name": function}
        with self._rpc.understood("list_client_group_configs"):
            configs = self._rpc.call("list_client_group_configs", [params])
            texts = [str(text) for config in configs for text in config["client_groups"]]
        return read_placement(texts, f"{module}.{function}")

    def volume_mounts(self, module: str, function: str, client_group: str, token: str) -> list[VolumeMount]:
        """Folders of the client group's workers that the function's container sees."""
        params = {"module_name": module, "function_name": function, "client_group": client_group}
        with self._rpc.understood("list_volume_mounts"), _as_admin():
            configs = self._rpc.call("list_volume_mounts", [params], token)
            return [
                VolumeMount(mount["host_dir"], mount["container_dir"], bool(mount["read_only"]))
                for config in configs
                for mount in config["volume_mounts"]
            ]

    def secure_params(self, module: str, version: str, token: str) -> list[SecureParam]:
        """The secret settings of one version of a module.

        Raises:
            AppNotFound: no such module, or no such version of it.
        """
        params = {"module_name": module, "version": version, "load_all_versions": 0}
        with self._rpc.understood("get_secure_config_params"), _as_admin(), _named(module, version):
            found = self._rpc.call("get_secure_config_params", [params], token)
            return [
                SecureParam(it["param_name"], it["param_value"], bool(it.get("is_password", False))) for it in found
            ]

    def log_exec_stats(self, execution: Execution, token: str) -> None:
        """Adds a job to the Catalog's statistics. Not repeated by itself: the Catalog would count it twice."""
        with self._rpc.understood("log_exec_stats"), _as_admin():
            self._rpc.call("log_exec_stats", [execution.record()], token, repeat=False)


@contextmanager
def _named(module: str, version: str | None) -> Iterator[None]:
    try:
        yield
    except ServiceFault as fault:
        if fault.message.startswith(_NO_MODULE):
            raise AppNotFound(f"The Catalog has no module {module}.") from fault
        if fault.message.startswith((_NO_VERSION, _NO_SUBSCRIPT)):
            which = "version" if version is None else f"version {version}"
            raise AppNotFound(f"The Catalog has no {which} of the module {module}.") from fault
        raise


@contextmanager
def _as_admin() -> Iterator[None]:
    advice = "check the setting service-token-file and that its account has the role CATALOG_ADMIN"
    try:
        yield
    except (TokenMissing, TokenInvalid, AccountDisabled) as error:
        raise ConfigurationError(f"The Catalog does not accept the engine's own token: {advice}.") from error
    except ServiceFault as fault:
        if fault.message.startswith(_NO_PERMISSION):
            raise ConfigurationError(f"The Catalog refuses the engine ({fault.message}): {advice}.") from fault
        raise
