"""What each start of the embedded stack makes or mends."""

import json
from pathlib import Path
from typing import Any

import mongomock
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client
from werkzeug.wrappers import Response

from execution_engine.core import clock
from execution_engine.embedded.auth2.accounts import DAY_MS, Accounts
from execution_engine.embedded.bootstrap import bootstrap
from execution_engine.embedded.services import mount
from execution_engine.embedded.tokens import token_hash


class Stack:
    """A data folder and its database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = mongomock.MongoClient(tz_aware=True)["kbase_embedded"]
        self.accounts = Accounts(self.database)
        self.examples = folder / "examples"

    def start(self) -> dict[str, str]:
        """Starts it, and gives everybody's token, the service's too."""
        bootstrap(self.database, self.folder, examples=self.examples)
        tokens: dict[str, str] = json.loads((self.folder / "tokens.json").read_text())
        return tokens | {"execution_engine": (self.folder / "service.token").read_text().strip()}

    def owners(self, tokens: dict[str, str]) -> list[str | None]:
        return [self.accounts.owner(token) for token in tokens.values()]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path)


def test_a_first_start_makes_accounts_and_tokens(stack: Stack) -> None:
    tokens = stack.start()
    assert list(tokens) == ["alice", "bob", "admin", "execution_engine"] == stack.owners(tokens)
    assert {name: stack.accounts.custom_roles(name) for name in tokens} == {
        "alice": [],
        "bob": [],
        "admin": ["EE_ADMIN"],
        "execution_engine": ["CATALOG_ADMIN", "WS_FULL_READ_ADMIN"],
    }


def test_the_files_are_private_and_the_database_has_no_token(stack: Stack) -> None:
    tokens = stack.start()
    for name in ("tokens.json", "service.token"):
        assert (stack.folder / name).stat().st_mode & 0o777 == 0o600
    stored = str([list(stack.database[name].find()) for name in stack.database.list_collection_names()])
    assert not [token for token in tokens.values() if token in stored]


def test_a_second_start_changes_nothing(stack: Stack) -> None:
    tokens = stack.start()
    before = (stack.folder / "tokens.json").stat().st_ino
    (stack.folder / "tokens.json").chmod(0o644)
    assert stack.start() == tokens
    assert (stack.folder / "tokens.json").stat().st_ino == before
    assert (stack.folder / "tokens.json").stat().st_mode & 0o777 == 0o600
    assert stack.database["auth_tokens"].count_documents({}) == 4


def test_a_crash_between_file_and_database_heals(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Accounts, "issue", crash)
        with pytest.raises(KeyboardInterrupt):
            stack.start()
    unknown = json.loads((stack.folder / "tokens.json").read_text())
    assert stack.owners(unknown) == [None, None, None]
    assert stack.owners(stack.start()) == ["alice", "bob", "admin", "execution_engine"]


def test_a_token_that_vanished_is_replaced_and_no_other(stack: Stack) -> None:
    before = stack.start()
    stack.database["auth_tokens"].delete_one({"_id": token_hash(before["bob"])})
    after = stack.start()
    assert {name for name in before if after[name] != before[name]} == {"bob"}
    assert stack.owners(after) == list(after)


@pytest.mark.parametrize("name", ["alice", "execution_engine"])
def test_a_token_that_runs_out_soon_is_replaced_and_works_until_then(stack: Stack, name: str) -> None:
    before = stack.start()
    soon = {"expires": clock.to_ms(clock.now()) + 29 * DAY_MS}
    stack.database["auth_tokens"].update_one({"_id": token_hash(before[name])}, {"$set": soon})
    after = stack.start()
    assert {other for other in before if after[other] != before[other]} == {name}
    assert stack.accounts.owner(before[name]) == name


def test_a_token_under_another_name_is_replaced(stack: Stack) -> None:
    before = stack.start()
    mixed = {"alice": before["admin"], "bob": before["bob"], "admin": before["admin"]}
    (stack.folder / "tokens.json").write_text(json.dumps(mixed))
    after = stack.start()
    assert stack.owners(after) == list(after)
    assert (after["bob"], after["admin"]) == (before["bob"], before["admin"])


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"alice": 5}', "\0"])
def test_a_damaged_file_is_written_anew(stack: Stack, text: str) -> None:
    stack.start()
    (stack.folder / "tokens.json").write_text(text)
    (stack.folder / "service.token").write_text(text)
    tokens = stack.start()
    assert stack.owners(tokens) == ["alice", "bob", "admin", "execution_engine"]


def test_tokens_of_other_people_in_the_file_stay(stack: Stack) -> None:
    stack.folder.joinpath("tokens.json").write_text('{"carol": "HERS"}')
    assert stack.start()["carol"] == "HERS"


def test_examples_become_modules_and_the_services_know_them(stack: Stack) -> None:
    app = stack.examples / "echo"
    app.mkdir(parents=True)
    manifest = {"module_name": "echo", "version": "1.0.0", "functions": {"say": {"command": ["echo", "hello"]}}}
    (app / "manifest.json").write_text(json.dumps(manifest))
    token = stack.start()["execution_engine"]
    client = Client(DispatcherMiddleware(Response("Not Found", 404), mount(stack.database)))

    seen = client.get("/services/auth/api/V2/me", headers={"Authorization": token}).json
    assert seen["customroles"] == ["CATALOG_ADMIN", "WS_FULL_READ_ADMIN"]
    call = {"method": "Catalog.get_module_version", "params": [{"module_name": "echo"}], "id": "1", "version": "1.1"}
    record = client.post("/services/catalog", json=call).json["result"][0]
    assert record["command_app"]["functions"]["say"]["command"] == ["echo", "hello"]
    assert record["command_app"]["directory"] == str(stack.folder / "apps" / "echo" / record["git_commit_hash"])
    call = {"method": "Workspace.create_workspace", "params": [{"workspace": "w"}], "id": "1", "version": "1.1"}
    made = client.post("/services/ws", json=call, headers={"Authorization": token}).json["result"][0]
    assert made[2] == "execution_engine"
