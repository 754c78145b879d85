"""More people than an engine starts with, and what they are to a workspace."""

import json
from typing import Any

from pymongo import MongoClient

from execution_engine.embedded.auth2.accounts import Accounts
from execution_engine.embedded.services import DATABASE_NAME
from test.conftest import Stack


def accounts_of(stack: Stack) -> Accounts:
    """The accounts of the engine's own Auth2."""
    endpoints = json.loads((stack.data / "endpoints.json").read_text())
    client: MongoClient[dict[str, Any]] = MongoClient(endpoints["mongo"], tz_aware=True)
    return Accounts(client[DATABASE_NAME])


def add_person(stack: Stack, name: str, *roles: str, secret: str | None = None) -> str:
    """A new account with custom roles; its token (``secret``, or a random one), which ``stack`` knows from now on."""
    accounts = accounts_of(stack)
    accounts.ensure_user(name, name.title(), custom_roles=roles)
    token, _ = accounts.issue(name, "Login", secret=secret)
    file = stack.data / "tokens.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: token}))
    return token


def call_workspace(stack: Stack, method: str, params: dict[str, Any], user: str) -> Any:
    """A call to the embedded Workspace that must succeed; methods without a result answer None."""
    body = {"version": "1.1", "id": "1", "method": f"Workspace.{method}", "params": [params]}
    url = stack.url.removesuffix("ee") + "ws"
    response = stack.session.post(url, json=body, headers={"Authorization": stack.token(user)}, timeout=30)
    assert response.status_code == 200, response.text
    return response.json()["result"]


def set_permission(stack: Stack, wsid: int, owner: str, user: str, letter: str) -> None:
    """n, r, w or a for one person."""
    call_workspace(stack, "set_permissions", {"id": wsid, "new_permission": letter, "users": [user]}, owner)


def make_public(stack: Stack, wsid: int, owner: str) -> None:
    """Everybody may read the workspace."""
    call_workspace(stack, "set_global_permission", {"id": wsid, "new_permission": "r"}, owner)
