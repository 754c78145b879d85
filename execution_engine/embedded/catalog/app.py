"""The Catalog's methods, as many as the engine and its clients use."""

from collections.abc import Callable, Iterable
from typing import Any

from pymongo.database import Database

from execution_engine.embedded.catalog.client_groups import ClientGroups
from execution_engine.embedded.catalog.modules import Modules
from execution_engine.embedded.catalog.run_statistics import RunStatistics
from execution_engine.embedded.catalog.secure_params import SecureParams
from execution_engine.embedded.catalog.server import Auth, Method, PythonServer
from execution_engine.embedded.catalog.volume_mounts import VolumeMounts

VERSION = "2.2.4"  # of the Catalog whose protocol this is
ADMIN_ROLE = "CATALOG_ADMIN"

Document = dict[str, Any]
RolesOf = Callable[[str], Iterable[str]]


def create_catalog_app(
    database: Database[Document], token_owner: Callable[[str], str | None], roles_of: RolesOf
) -> PythonServer:
    """The WSGI app. ``token_owner`` gives the user of a valid token, ``roles_of`` a user's custom roles."""
    methods = {**_service_methods(roles_of), **_public_methods(database), **_admin_methods(database, roles_of)}
    return PythonServer("Catalog", methods, token_owner)


def ensure_indexes(database: Database[Document]) -> None:
    """Create the indexes of the Catalog's collections; harmless when they exist."""
    for part in (ClientGroups, VolumeMounts, RunStatistics):
        part(database).ensure_indexes()
    SecureParams(database, Modules(database)).ensure_indexes()


def _service_methods(roles_of: RolesOf) -> dict[str, Method]:
    def is_admin(user: str, name: str) -> list[int]:
        if user != name:
            raise ValueError("Can only check on own admin status")
        return [int(ADMIN_ROLE in roles_of(user))]

    status = {"state": "OK", "message": "", "version": VERSION, "git_url": "", "git_commit_hash": ""}
    return {
        "version": Method(lambda _user: [VERSION], types=()),
        "status": Method(lambda _user: [status], types=()),
        "is_admin": Method(is_admin, types=(str,), auth=Auth.REQUIRED),
    }


def _public_methods(database: Database[Document]) -> dict[str, Method]:
    modules, client_groups = Modules(database), ClientGroups(database)
    answers: dict[str, Callable[[Document], Any]] = {
        "get_module_version": modules.version,
        "get_module_info": modules.info,
        "is_registered": modules.is_registered,
        "list_basic_module_info": modules.list_basic,
        "list_client_group_configs": client_groups.list_configs,
        "get_client_groups": client_groups.by_app,
    }
    return {name: Method(_anybody(answer)) for name, answer in answers.items()}


def _admin_methods(database: Database[Document], roles_of: RolesOf) -> dict[str, Method]:
    client_groups, mounts, runs = ClientGroups(database), VolumeMounts(database), RunStatistics(database)
    secure = SecureParams(database, Modules(database))
    hidden = "work with hidden configuration parameters"

    def answering(answer: Callable[[Document], Any], to_do: str) -> Method:
        return _for_admins(lambda params: [answer(params)], to_do, roles_of)

    def void(act: Callable[[Document], None], to_do: str) -> Method:
        return _for_admins(act, to_do, roles_of)

    return {
        "set_client_group_config": void(client_groups.put, "set execution client groups"),
        "set_volume_mount": void(mounts.put, "set volume mounts"),
        "list_volume_mounts": answering(mounts.find, "view volume mounts"),
        "set_secure_config_params": void(secure.put, hidden),
        "get_secure_config_params": answering(secure.find, hidden),
        "log_exec_stats": void(runs.log, "log execution statistics"),
        "get_exec_raw_stats": answering(runs.raw, "view execution statistics"),
    }


def _anybody(answer: Callable[[Document], Any]) -> Callable[[str | None, Document], list[Any]]:
    return lambda _user, params: [answer(params)]


def _for_admins(run: Callable[[Document], list[Any] | None], to_do: str, roles_of: RolesOf) -> Method:
    """A method for Catalog administrators; ``to_do`` is what others are told they may not."""

    def checked(user: str, params: Document) -> list[Any] | None:
        if ADMIN_ROLE not in roles_of(user):
            raise ValueError(f"You do not have permission to {to_do}.")
        return run(params)

    return Method(checked, auth=Auth.REQUIRED)
