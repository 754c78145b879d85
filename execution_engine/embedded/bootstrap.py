"""What the embedded services need at a first start, and what every start puts right: accounts, tokens, apps.

Token files are written before the database: a crash in between leaves a token in the file that the database does not
know, and the next start replaces it.
"""

import json
import logging
from pathlib import Path
from typing import Any

from pymongo.database import Database

from execution_engine.core import clock
from execution_engine.embedded import catalog
from execution_engine.embedded.auth2.accounts import DAY_MS, Accounts
from execution_engine.embedded.catalog.app import ADMIN_ROLE as CATALOG_ADMIN
from execution_engine.embedded.private_file import PRIVATE, write_private
from execution_engine.embedded.tokens import new_token

Document = dict[str, Any]

PEOPLE = {"alice": ("Alice", ()), "bob": ("Bob", ()), "admin": ("Administrator", ("EE_ADMIN",))}
"""The accounts of people: their display names and custom roles."""
SERVICE_ACCOUNT = "execution_engine"
SERVICE_ROLES = (CATALOG_ADMIN, "WS_FULL_READ_ADMIN")

TOKENS_NAME = "tokens.json"
SERVICE_TOKEN_NAME = "service.token"  # noqa: S105  a file's name
EXAMPLES = Path(__file__).parent.parent / "examples"
APPS_NAME = "apps"

LIFETIME_MS = 365 * DAY_MS
RENEW_BEFORE_MS = 30 * DAY_MS  # so that a token seldom runs out under a stack that stays up

_log = logging.getLogger(__name__)


def bootstrap(database: Database[Document], data_dir: Path, *, examples: Path = EXAMPLES) -> None:
    """Make or mend everything the embedded services start from; repeating it changes nothing.

    There are then: the accounts of PEOPLE with tokens in ``data_dir/tokens.json`` (``{name: token}``), the engine's own
    account with its token in ``data_dir/service.token``, both files of mode 0600, and the folders of ``examples`` as
    modules in the Catalog. One process at a time may do this to a data folder.

    Raises:
        OSError: a file can't be written.
        ConfigurationError: an example's manifest is wrong.
        PyMongoError: the database fails.
    """
    accounts = Accounts(database)
    accounts.ensure_indexes()
    for name, (display, roles) in PEOPLE.items():
        accounts.ensure_user(name, display, custom_roles=roles)
    accounts.ensure_user(SERVICE_ACCOUNT, "Execution Engine", custom_roles=SERVICE_ROLES)
    _renew_people(accounts, data_dir / TOKENS_NAME)
    _renew_service(accounts, data_dir / SERVICE_TOKEN_NAME)
    catalog.ensure_indexes(database)
    catalog.register_command_apps(database, examples, data_dir / APPS_NAME)


def _renew_people(accounts: Accounts, file: Path) -> None:
    tokens = _read_tokens(file)
    drawn = {name: new_token() for name in PEOPLE if not _is_good(accounts, name, tokens.get(name))}
    if drawn:
        write_private(file, json.dumps(tokens | drawn, indent=2) + "\n")
        for name, token in drawn.items():
            accounts.issue(name, "Login", secret=token, lifetime_ms=LIFETIME_MS)
    file.chmod(PRIVATE)


def _renew_service(accounts: Accounts, file: Path) -> None:
    token = file.read_text(encoding="utf-8", errors="replace").strip() if file.exists() else None
    if not _is_good(accounts, SERVICE_ACCOUNT, token):
        drawn = new_token()
        write_private(file, drawn + "\n")
        accounts.issue(SERVICE_ACCOUNT, "Service", name=SERVICE_ACCOUNT, secret=drawn, lifetime_ms=LIFETIME_MS)
    file.chmod(PRIVATE)


def _is_good(accounts: Accounts, user: str, secret: str | None) -> bool:
    """Whether a token is the user's and stays valid for a while."""
    token = accounts.token(secret) if secret else None
    return token is not None and token.user == user and token.expires > clock.to_ms(clock.now()) + RENEW_BEFORE_MS


def _read_tokens(file: Path) -> dict[str, str]:
    """The tokens in a file, also those of accounts that are not ours; none when it is missing or damaged."""
    try:
        tokens = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        _log.warning("%s is not JSON; it is written anew, with new tokens", file)
        return {}
    found = tokens.items() if isinstance(tokens, dict) else ()
    return {name: token for name, token in found if isinstance(token, str)}
