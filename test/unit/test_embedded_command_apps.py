"""Folders with a manifest become modules of the embedded Catalog."""

import json
from pathlib import Path
from typing import Any

import mongomock
import pytest

from execution_engine.core.errors import ConfigurationError
from execution_engine.embedded.catalog.command_apps import commit_of, register_command_apps
from execution_engine.embedded.catalog.modules import Modules

MANIFEST = {
    "module_name": "Line_Tools",
    "version": "1.0.0",
    "description": "Counts lines",
    "functions": {
        "count": {
            "command": ["python3", "count.py"],
            "needs_token": True,
            "requirements": {"cpus": 1, "memory_mb": 64},
            "narrative_method": True,
        },
        "sort": {"command": ["sort"]},
    },
}


class Shelf:
    """A folder with one app, and where it is registered."""

    def __init__(self, folder: Path) -> None:
        self.modules = Modules(mongomock.MongoClient(tz_aware=True)["kbase_embedded"])
        self.source = folder / "examples"
        self.copies = folder / "apps"
        self.app = self.source / "line_tools"
        self.app.mkdir(parents=True)
        (self.app / "manifest.json").write_text(json.dumps(MANIFEST))
        self.change("print(1)")

    def change(self, program: str) -> None:
        (self.app / "count.py").write_text(program)

    def register(self) -> str:
        """Registers what is there, and gives its commit."""
        register_command_apps(self.modules._modules.database, self.source, self.copies)
        return commit_of(self.app)

    def version(self, wanted: str | None = None) -> dict[str, Any]:
        return self.modules.version({"module_name": "line_tools", "version": wanted})


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_module_has_its_commands_and_a_copy_of_its_folder(shelf: Shelf) -> None:
    commit = shelf.register()
    record = shelf.version()
    assert record["module_name"] == "Line_Tools"
    assert record["git_commit_hash"] == commit
    assert record["release_tags"] == ["release", "beta", "dev"]
    assert record["narrative_methods"] == ["count"]
    assert record["command_app"]["functions"] == {
        "count": {
            "command": ["python3", "count.py"],
            "needs_token": 1,
            "requirements": {"cpus": 1, "memory_mb": 64},
        },
        "sort": {"command": ["sort"], "needs_token": 0, "requirements": {}},
    }
    assert Path(record["command_app"]["directory"], "count.py").read_text() == "print(1)"


def test_the_commit_is_the_content(shelf: Shelf) -> None:
    before = commit_of(shelf.app)
    assert len(before) == 40
    for ignored in (".git/HEAD", "__pycache__/count.cpython-311.pyc", "old.pyc", ".DS_Store"):
        (shelf.app / ignored).parent.mkdir(exist_ok=True)
        (shelf.app / ignored).write_text("x")
    assert commit_of(shelf.app) == before
    (shelf.app / "count.py").rename(shelf.app / "counts.py")
    assert commit_of(shelf.app) != before


def test_registering_again_changes_nothing(shelf: Shelf) -> None:
    shelf.register()
    before = (shelf.version(), shelf.modules.get("line_tools"))
    shelf.register()
    assert (shelf.version(), shelf.modules.get("line_tools")) == before


def test_a_change_is_a_new_version_and_the_old_one_stays(shelf: Shelf) -> None:
    old = shelf.register()
    shelf.change("print(2)")
    new = shelf.register()
    assert shelf.version("release")["git_commit_hash"] == new
    assert shelf.version(old)["release_tags"] == []
    directories = [Path(shelf.version(commit)["command_app"]["directory"]) for commit in (old, new)]
    assert [(folder / "count.py").read_text() for folder in directories] == ["print(1)", "print(2)"]


def test_a_change_taken_back_is_the_version_it_was(shelf: Shelf) -> None:
    old = shelf.register()
    first = shelf.version(old)
    shelf.change("print(2)")
    shelf.register()
    shelf.change("print(1)")
    assert shelf.register() == old
    assert shelf.version("dev") == first
    assert len(shelf.modules.get("line_tools")["releases"]) == 2


def test_a_data_folder_may_be_moved(shelf: Shelf) -> None:
    old = shelf.register()
    shelf.change("print(2)")
    shelf.register()
    shelf.copies = shelf.copies.rename(shelf.copies.with_name("moved"))
    shelf.register()
    assert shelf.version(old)["command_app"]["directory"] == str(shelf.copies / "line_tools" / old)


def test_a_copy_that_was_cut_short_or_changed_is_made_anew(shelf: Shelf) -> None:
    commit = shelf.register()
    copy = shelf.copies / "line_tools" / commit
    (copy / "count.py").write_text("changed")
    draft = copy.with_name(f".{commit}.new")
    draft.mkdir()
    shelf.register()
    assert (copy / "count.py").read_text() == "print(1)"
    assert not draft.exists()


def test_folders_without_a_manifest_are_not_apps(shelf: Shelf) -> None:
    (shelf.source / "data").mkdir()
    shelf.register()
    assert len(shelf.modules.list_basic({})) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"module_name": "no spaces"}, "module_name is 'no spaces'; expected letters, digits and underscores"),
        ({"module_name": None}, "module_name is None"),
        ({"version": "1"}, "version is '1'; expected a semantic version such as 1.0.0"),
        ({"description": 1}, "description is no text"),
        ({"owners": ["ann", 1]}, "owners is ['ann', 1]; expected a list of account names"),
        ({"functions": {}}, "functions is missing"),
        ({"functions": {"a.b": {"command": ["x"]}}}, "functions has 'a.b'"),
        ({"functions": {"f": "x"}}, "functions.f.command is None"),
        ({"functions": {"f": {"command": "ls"}}}, "functions.f.command is 'ls'; expected a list of texts"),
        ({"functions": {"f": {"command": ["x"], "requirements": 1}}}, "functions.f.requirements is 1"),
        (
            {"functions": {"f": {"command": ["x"], "requirements": {"cpus": "1"}}}},
            "functions.f.requirements has cpus = '1'; expected cpus, memory_mb, disk_gb, whole numbers from 1",
        ),
    ],
)
def test_a_wrong_manifest_says_where(shelf: Shelf, change: dict[str, Any], message: str) -> None:
    file = shelf.app / "manifest.json"
    file.write_text(json.dumps(MANIFEST | change))
    with pytest.raises(ConfigurationError) as refused:
        shelf.register()
    assert refused.value.message.startswith(f"{file}: {message}")


def test_a_manifest_that_is_no_json(shelf: Shelf) -> None:
    (shelf.app / "manifest.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"manifest\.json can't be read as JSON"):
        shelf.register()
    (shelf.app / "manifest.json").write_text("[]")
    with pytest.raises(ConfigurationError, match="expected an object"):
        shelf.register()
