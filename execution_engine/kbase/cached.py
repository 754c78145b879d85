"""What the services said, believed for the times that the settings state.

Keys hold the digest of a token, never the token. A refusal is believed for a shorter time than a grant, so that a new
share shows soon; an outage is not remembered at all.
"""

import time
from array import array
from collections.abc import Callable, Iterable, Sequence

from execution_engine.core.errors import AccountDisabled, AppMisconfigured, AppNotFound, TokenInvalid
from execution_engine.kbase.auth import Account, Auth, TokenInfo
from execution_engine.kbase.cache import SingleFlightCache
from execution_engine.kbase.catalog import Catalog
from execution_engine.kbase.modules import ModuleVersion
from execution_engine.kbase.permissions import Permission, WorkspaceAccess
from execution_engine.kbase.placement import Placement
from execution_engine.kbase.tokens import clean_token, token_key
from execution_engine.kbase.workspace import Workspace

_BAD_TOKEN = (TokenInvalid, AccountDisabled)
_MAX_LISTS = 1_000  # of workspaces, one for each token; the longest known have some 10,000


class CheckedTokens:
    """Auth2's answers, for ``token_seconds`` and not beyond the end of a token; refusals for ``denial_seconds``."""

    def __init__(
        self,
        auth: Auth,
        *,
        token_seconds: float,
        denial_seconds: float,
        max_size: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._auth = auth

        def until_end(info: TokenInfo) -> float:
            return min(token_seconds, info.expires_ms / 1000 - wall_clock())

        self._owners: SingleFlightCache[bytes, TokenInfo] = SingleFlightCache(
            ttl=until_end, max_size=max_size, negative=_BAD_TOKEN, negative_ttl=denial_seconds, clock=clock
        )
        self._accounts: SingleFlightCache[bytes, Account] = SingleFlightCache(
            ttl=token_seconds, max_size=max_size, negative=_BAD_TOKEN, negative_ttl=denial_seconds, clock=clock
        )

    def token_owner(self, token: str | None) -> TokenInfo:
        """As :meth:`Auth.token_owner`."""
        clean = clean_token(token)
        return self._owners.get(token_key(clean), lambda: self._auth.token_owner(clean))

    def users(self, token: str | None, names: Iterable[str]) -> dict[str, str]:
        """As :meth:`Auth.users`; asked every time, for it is asked seldom."""
        return self._auth.users(clean_token(token), names)

    def account(self, token: str | None) -> Account:
        """As :meth:`Auth.account`; of a token that :meth:`token_owner` has just accepted."""
        clean = clean_token(token)
        return self._accounts.get(token_key(clean), lambda: self._auth.account(clean))


class KnownPermissions:
    """The Workspace's answers: enough access for ``permission_seconds``, too little for ``denial_seconds``."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        permission_seconds: float,
        denial_seconds: float,
        max_size: int = 200_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workspace = workspace

        # By token, not by user: a refused token of a user must not be the answer to another one.
        self._known = {
            needed: SingleFlightCache[tuple[bytes, int], WorkspaceAccess](
                ttl=_by_access(needed, permission_seconds, denial_seconds), max_size=max_size, clock=clock
            )
            for needed in (Permission.READ, Permission.WRITE, Permission.ADMIN)
        }
        self._readable: SingleFlightCache[bytes, array[int]] = SingleFlightCache(
            ttl=permission_seconds, max_size=_MAX_LISTS, clock=clock
        )

    def permissions(
        self, user: str, wsids: Iterable[int], token: str, needed: Permission = Permission.READ
    ) -> dict[int, WorkspaceAccess]:
        """As :meth:`Workspace.permissions`, asking only for those that are not known.

        ``needed``: what the question is about; less than that is a denial, and believed as long as one.
        """
        holder = token_key(token)

        def load(keys: list[tuple[bytes, int]]) -> dict[tuple[bytes, int], WorkspaceAccess]:
            access = self._workspace.permissions(user, [wsid for _, wsid in keys], token)
            return {(holder, wsid): found for wsid, found in access.items()}

        known = self._known[needed].get_many(((holder, wsid) for wsid in wsids), load)
        return {wsid: access for (_, wsid), access in known.items()}

    def readable_workspaces(self, token: str) -> Sequence[int]:
        """As :meth:`Workspace.readable_workspaces`, for ``permission_seconds``: the list holds access, no denials."""
        return self._readable.get(token_key(token), lambda: array("q", self._workspace.readable_workspaces(token)))


def _by_access(
    needed: Permission, permission_seconds: float, denial_seconds: float
) -> Callable[[WorkspaceAccess], float]:
    return lambda access: permission_seconds if access.permission >= needed else denial_seconds


class KnownModules:
    """The Catalog's answers about apps, for ``seconds``; that an app is missing or wrong there, ``denial_seconds``."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        seconds: float,
        denial_seconds: float,
        max_size: int = 5_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._versions: SingleFlightCache[tuple[str, str | None], ModuleVersion] = SingleFlightCache(
            ttl=seconds, max_size=max_size, negative=(AppNotFound,), negative_ttl=denial_seconds, clock=clock
        )
        self._placements: SingleFlightCache[tuple[str, str], Placement] = SingleFlightCache(
            ttl=seconds, max_size=max_size, negative=(AppMisconfigured,), negative_ttl=denial_seconds, clock=clock
        )
        self._owners: SingleFlightCache[str, tuple[str, ...]] = SingleFlightCache(
            ttl=seconds, max_size=max_size, negative=(AppNotFound,), negative_ttl=denial_seconds, clock=clock
        )

    def module_version(self, module: str, version: str | None = None) -> ModuleVersion:
        """As :meth:`Catalog.module_version`."""
        return self._versions.get((module, version), lambda: self._catalog.module_version(module, version))

    def placement(self, module: str, function: str) -> Placement:
        """As :meth:`Catalog.placement`."""
        return self._placements.get((module, function), lambda: self._catalog.placement(module, function))

    def owners(self, module: str) -> tuple[str, ...]:
        """As :meth:`Catalog.owners`."""
        return self._owners.get(module, lambda: self._catalog.owners(module))
