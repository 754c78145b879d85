"""Writes the pages of docs/reference that are made from the code: ``python docs/generate.py [--check]``.

With ``--check`` nothing is written; the exit code is 1 if a page is not what the code says.
"""

import sys
from dataclasses import MISSING
from pathlib import Path
from runpy import run_path
from unittest.mock import Mock

from execution_engine.api.methods import native_registry
from execution_engine.app import contract
from execution_engine.cli.reference import render_reference as render_commands
from execution_engine.config import Settings
from execution_engine.config.settings import scalar_settings
from execution_engine.core.causes import CAUSES
from execution_engine.core.errors import all_errors
from execution_engine.jobs import access
from execution_engine.rpc.reference import render_reference
from execution_engine.rpc.registry import Registry

REFERENCE = Path(__file__).parent / "reference"
ACCESS_TABLE = Path(__file__).parents[1] / "test" / "acceptance" / "access_table.py"
EXAMPLES = {
    "job_id": "6b03511fd01231430d147e87",
    "method_name": "sequence_tools.assembly_stats",
    "service_ver": "release",
    "app_id": "sequence_tools/assembly_stats",
    "object_ref": "1/2/3",
    "client_group": "local",
    "backend_name": "local",
    "idempotency_key": "my-key-1",
    "wsid": 1,
    "runner_id": "kP3vX9tQ2mZ7wL5s",
    "user_name": "bob",
    "cause_code": "app_error",
}
_MADE = "<!-- Made by docs/generate.py; change the code, then run `make docs`. -->\n\n"


def settings_page() -> str:
    """Every key of ``[execution_engine]``."""
    lines = [
        "# Settings",
        "",
        "`deploy.cfg` is an INI file; the environment variable `KB_DEPLOYMENT_CONFIG` names it. Keys that it does not",
        "have take the default. An unknown key or a value of the wrong type is refused at start, with section and key.",
        "",
        "## `[execution_engine]`",
        "",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    for field in scalar_settings():
        default = field.default if field.default is not MISSING else field.default_factory()
        kind = {"int": "whole number", "float": "number", "bool": "true or false", "str": "text"}.get(
            getattr(field.type, "__name__", ""), "words"
        )
        if field.type == list[str]:
            kind = "words, separated by commas"
        example = field.metadata["example"]
        doc = field.metadata["doc"] + (f" Example: `{example}`." if example else "")
        lines.append(f"| `{field.name.replace('_', '-')}` | {kind} | {_shown(default)} | {doc} |")
    lines += [
        "",
        "## `[backend:NAME]`",
        "",
        "One section for each system that executes jobs; without any there is one backend `local`.",
        "",
        "| key | meaning |",
        "|---|---|",
        "| `kind` | `local`: this machine; `awe`, `condor`, `slurm`: see the how-tos. Default: the section's name. |",
        "| `cpus`, `memory-mb` | `local`: what jobs may take together; default: all cores, most of the memory. |",
        "| `run-as` | `local`: account of the apps; `auto` (default): one for each job, where the engine may switch. |",
        "| `keep-seconds` | `local`: how long the folders of ended jobs stay; default 3600. |",
        "",
        "## `[client_group:NAME]`",
        "",
        "One section for each group of jobs; without any there is one group `local` on the first backend.",
        "",
        "| key | meaning |",
        "|---|---|",
        "| `backends` | The backends that serve the group, best first, separated by commas. |",
        "| `open-to` | Who may choose it: users and `role:NAME`, separated by commas; `*` (default): everybody. |",
        "| `cpus`, `memory-mb`, `disk-gb` | What a job takes that does not say; default: `default-cpus` and so on. |",
        "| `max-cpus`, `max-memory-mb`, `max-disk-gb` | The most that a job may take; default: what machines have. |",
        "| `feed-ahead` | How many of the group's jobs may wait inside a backend; default: its slots, at least 4. |",
    ]
    return _MADE + "\n".join(lines) + "\n"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        return f"`{', '.join(default)}`"
    return f"`{default}`" if default != "" else "empty"


def errors_page() -> str:
    """The two tables: errors of calls, causes of failed jobs."""
    lines = [
        "# Errors and causes",
        "",
        "## Errors of calls",
        "",
        "In JSON-RPC 2.0 the `reason` is in `error.data.reason`, with further details beside it; in 1.1 the details",
        "are JSON text in `error.error`.",
        "",
        "| code | reason | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| {error.code} | `{error.reason}` | {(error.__doc__ or '').strip()} |" for error in all_errors()]
    lines += [
        "",
        "## Causes of failed and terminated jobs",
        "",
        "`cause.code` in a job's record. *Again*: whether the engine makes another attempt by itself.",
        "",
        "| code | message | advice | again |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{cause.code}` | {cause.message} | {cause.advice} | {'yes' if cause.engine_may_retry else 'no'} |"
        for cause in CAUSES.values()
    ]
    return _MADE + "\n".join(lines) + "\n"


def rpc_page() -> str:
    """The methods, from the contract and the access rules."""
    return _MADE + render_reference(_registry(), all_errors(), EXAMPLES)


def _registry() -> Registry:
    engine = Mock()
    engine.settings = Settings()
    return native_registry(engine, contract())


def access_page() -> str:
    """The rules, and the table that the acceptance test plays."""
    rules = (access.__doc__ or "").partition("\n\n")[2].strip()
    names = {method.function.name: method.access.name for method in _registry().methods_in_order()}
    page: str = run_path(str(ACCESS_TABLE))["render"](rules, names)
    return _MADE + page


def cli_page() -> str:
    """The commands with their options, and the exit codes."""
    return _MADE + render_commands()


PAGES = {
    "cli.md": cli_page,
    "settings.md": settings_page,
    "errors.md": errors_page,
    "rpc.md": rpc_page,
    "access.md": access_page,
}


def main(arguments: list[str]) -> int:
    """Write or check all pages."""
    stale = []
    for name, make in PAGES.items():
        path, text = REFERENCE / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in arguments:
        sys.stderr.write(f"docs/reference: {', '.join(stale)} is not what the code says; run `make docs`.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
