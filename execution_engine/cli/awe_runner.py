"""`execution-engine awe-runner`: the program that AWE's workers run."""

from pathlib import Path

import click

from execution_engine.cli.screen import note


@click.command(name="awe-runner", short_help="Write the program for AWE's workers.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="ee-runner")
def awe_runner(file: Path) -> None:
    """Write the program that a backend of kind awe runs on AWE's workers.

    One file, for any python3 on Linux; put it into the workers' PATH as ee-runner. Write it anew, and replace the one
    there, with each new version of the engine.
    """
    from execution_engine.backends.awe import worker_program  # noqa: PLC0415  not for every command

    try:
        worker_program.write(file)
    except OSError as error:
        raise click.FileError(str(file), error.strerror or str(error)) from error
    note(f"{file} is written. Copy it to the workers, into a folder that is in their PATH.")
