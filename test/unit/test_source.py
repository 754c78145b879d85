import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from execution_engine import source
from execution_engine.source import git_commit


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package in a checkout without a commit."""
    package = tmp_path / "execution_engine"
    package.mkdir()
    monkeypatch.setattr(source, "__file__", str(package / "source.py"))
    monkeypatch.setattr(source, "resources", SimpleNamespace(files=lambda _: package))
    git_commit.cache_clear()
    yield tmp_path
    git_commit.cache_clear()


def git(folder: Path, *words: Any) -> str:
    as_somebody = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(["git", "-C", folder, *as_somebody, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_without_a_checkout_nobody_can_tell(checkout: Path) -> None:
    assert not (checkout / ".git").exists()
    assert git_commit() == ""


def test_a_checkout_without_a_commit_has_none(checkout: Path) -> None:
    git(checkout, "init")
    assert git_commit() == ""


def test_a_checkout_knows_its_commit(checkout: Path) -> None:
    git(checkout, "init")
    git(checkout, "commit", "--allow-empty", "-m", "x")
    assert git_commit() == git(checkout, "rev-parse", "HEAD")


def test_what_was_packed_counts(checkout: Path) -> None:
    (checkout / "execution_engine" / source.PACKED).write_text("c0ffee\n")
    assert git_commit() == "c0ffee"
