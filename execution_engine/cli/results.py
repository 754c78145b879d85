"""A method's result for people: small structures as tables, everything else as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from execution_engine.cli.screen import harmless

MOST_ROWS = 20
MOST_COLUMNS = 8
MOST_JSON_CHARS = 4000


def render_output(output: Any) -> RenderableType:
    """``output`` as the API has it: the list of values that the method returned."""
    if isinstance(output, list) and len(output) == 1:
        return _render(output[0])
    return _json(output)


def _render(value: Any) -> RenderableType:
    if not isinstance(value, Mapping) or not value:
        return _rows(value) or _json(value)
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    lists: list[RenderableType] = []
    for key, item in value.items():
        if rows := _rows(item):
            lists += [Text(harmless(key), style="bold"), rows]
        else:
            facts.add_row(harmless(key), Text(_short(item)))
    return Group(facts, *lists)


def _rows(value: Any) -> RenderableType | None:
    """A table, if ``value`` is a list of flat structures of the same keys."""
    if not isinstance(value, list) or not value or not all(isinstance(row, Mapping) for row in value):
        return None
    columns = list(value[0])
    if len(columns) > MOST_COLUMNS or any(list(row) != columns or not _is_flat(row) for row in value):
        return None
    table = Table(*(harmless(column) for column in columns), box=box.SIMPLE_HEAD, pad_edge=False)
    for row in value[:MOST_ROWS]:
        table.add_row(*(Text(_short(cell)) for cell in row.values()))
    if len(value) > MOST_ROWS:
        return Group(table, Text(f"… and {len(value) - MOST_ROWS} more; --json shows all.", style="dim"))
    return table


def _is_flat(row: Mapping[str, Any]) -> bool:
    return not any(isinstance(cell, list | Mapping) for cell in row.values())


def _short(value: Any) -> str:
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _cut(json.dumps(value, ensure_ascii=False))


def _json(value: Any) -> Text:
    return Text(_cut(json.dumps(value, ensure_ascii=False, indent=2)))


def _cut(text: str) -> str:
    text = harmless(text)
    return text if len(text) <= MOST_JSON_CHARS else f"{text[:MOST_JSON_CHARS]} … (--json shows all of it)"
