import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from execution_engine.backends import runner_archive

MAIN = '''"""A runner that shows how it was called."""

from .words import GREETING


def main(arguments):
    print(GREETING, *arguments)
    return 7
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "runner"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "main.py").write_text(MAIN)
    (package / "words.py").write_text('GREETING = "called with"\n')
    return package


def run(archive: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", "-S", *options, str(archive), "--job", "a b"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def change(archive: Path, ending: str, how: Callable[[bytes], bytes]) -> Path:
    changed = archive.with_name("changed.pyz")
    with zipfile.ZipFile(archive) as made, zipfile.ZipFile(changed, "w") as file:
        for entry in made.infolist():
            content = made.read(entry)
            file.writestr(entry, how(content) if entry.filename.endswith(ending) else content)
    return changed


def test_python_alone_runs_it(tmp_path: Path, package: Path) -> None:
    answer = run(runner_archive.build(tmp_path / "made", package))
    assert (answer.returncode, answer.stdout) == (7, "called with --job a b\n")


def test_another_python_runs_the_sources(tmp_path: Path, package: Path) -> None:
    foreign = change(runner_archive.build(tmp_path, package), ".pyc", lambda code: b"\0\0\r\n" + code[4:])
    assert run(foreign).stdout == "called with --job a b\n"


def test_the_python_that_built_it_compiles_nothing(tmp_path: Path, package: Path) -> None:
    changed = change(runner_archive.build(tmp_path, package), ".py", lambda _: b"raise SystemExit('compiled')")
    assert run(changed).stdout == "called with --job a b\n"


def test_it_is_built_once_for_the_same_sources_and_anew_for_others(tmp_path: Path, package: Path) -> None:
    first = runner_archive.build(tmp_path, package)
    made = first.stat().st_mtime_ns
    copy = tmp_path / "installed" / "elsewhere"
    shutil.copytree(package, copy)
    assert runner_archive.build(tmp_path, copy) == first
    assert first.stat().st_mtime_ns == made
    (package / "words.py").write_text('GREETING = "otherwise"\n')
    second = runner_archive.build(tmp_path, package)
    assert second != first
    assert first.exists()


def test_other_accounts_may_read_it_and_nothing_half_made_is_left(tmp_path: Path, package: Path) -> None:
    archive = runner_archive.build(tmp_path / "made", package)
    assert archive.stat().st_mode & 0o777 == 0o644
    assert list((tmp_path / "made").iterdir()) == [archive]


def test_sources_that_do_not_compile_are_noticed_when_it_is_built(tmp_path: Path, package: Path) -> None:
    (package / "broken.py").write_text("def (")
    with pytest.raises(Exception, match=r"broken\.py"):
        runner_archive.build(tmp_path / "made", package)
    assert list((tmp_path / "made").iterdir()) == []


def test_the_projects_own_runner_starts(tmp_path: Path) -> None:
    archive = runner_archive.build(tmp_path)
    answer = subprocess.run([sys.executable, "-I", "-S", str(archive)], capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "--ticket-file" in answer.stderr
