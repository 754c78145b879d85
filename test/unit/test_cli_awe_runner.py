import subprocess
import sys
from pathlib import Path

import click
import click.testing
import pytest

from execution_engine.cli.awe_runner import awe_runner


def test_it_writes_one_file_that_runs_by_itself(tmp_path: Path) -> None:
    program = tmp_path / "ee-runner"
    assert click.testing.CliRunner().invoke(awe_runner, [str(program)]).exit_code == 0
    assert click.testing.CliRunner().invoke(awe_runner, [str(program)]).exit_code == 0, "again, over the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["ee-runner"]
    kept = subprocess.run(
        [str(program), "job", "1"],
        env={"PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (kept.returncode, "usage: EE_URL=URL" in kept.stderr) == (2, True)
    bare = subprocess.run(
        [sys.executable, "-I", "-S", str(program), "--url", "x"], capture_output=True, text=True, check=False
    )
    assert (bare.returncode, "usage: runner" in bare.stderr) == (2, True)


def test_a_folder_that_can_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(click.FileError, match="No such file or directory"):
        click.testing.CliRunner().invoke(
            awe_runner, [str(tmp_path / "none" / "ee-runner")], standalone_mode=False, catch_exceptions=False
        )
