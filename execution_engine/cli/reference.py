"""The command line's reference as Markdown, from the commands themselves."""

import inspect

import click

from execution_engine.cli.exit_codes import MEANINGS
from execution_engine.cli.main import commands


def render_reference() -> str:
    """Every command with its arguments and options, then the exit codes."""
    lines = ["# The command line", "", *_paragraphs(commands), ""]
    for name, command in commands.commands.items():
        arguments = [p.metavar or p.human_readable_name for p in command.params if isinstance(p, click.Argument)]
        lines += [f"## execution-engine {' '.join([name, *arguments])}", "", *_paragraphs(command), ""]
        lines += ["| option | meaning |", "|---|---|"]
        lines += [_row(option) for option in command.params if isinstance(option, click.Option)]
        lines += [""]
    lines += ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {int(code)} | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join(lines) + "\n"


def _paragraphs(command: click.Command) -> list[str]:
    return inspect.cleandoc(command.help or "").splitlines()


def _row(option: click.Option) -> str:
    values = "" if option.is_flag else f" {option.metavar or option.human_readable_name.upper()}"
    names = ", ".join(f"`{name}{values}`" for name in option.opts)
    said = [option.help or "", f"Environment: `{option.envvar}`." if option.envvar else ""]
    if option.show_default and option.default:
        said.append(f"Default: `{option.default}`.")
    return f"| {names} | {' '.join(filter(None, said))} |"
