import os
from pathlib import Path

import pytest

from execution_engine.embedded.private_file import write_private


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def test_only_the_owner_may_read_it_whatever_was_there(file: Path) -> None:
    file.write_text("old")
    file.chmod(0o644)
    before = os.umask(0)
    try:
        write_private(file, "new")
    finally:
        os.umask(before)
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_crash_while_writing_leaves_the_old_text(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_private(file, "old")

    def crash(_descriptor: int) -> None:
        raise OSError("crash")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", crash)
        with pytest.raises(OSError, match="crash"):
            write_private(file, "new")
    assert file.read_text() == "old"
    write_private(file, "newest")
    assert file.read_text() == "newest"
    assert list(file.parent.iterdir()) == [file]
