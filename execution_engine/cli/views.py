"""How a followed job is shown: lines and a progress bar for people, JSON lines for programs, or nothing."""

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from execution_engine.cli.screen import console, harmless, note, print_json

BAR_CELLS = 60  # what the bar's other columns take
LINE_STYLES = {"stderr": "yellow", "system": "dim"}


class QuietView:
    """Shows nothing but trouble, on standard error."""

    def __init__(self) -> None:
        self._trouble = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def line(self, line: Mapping[str, Any]) -> None:
        """Nothing."""

    def state(self, record: Mapping[str, Any]) -> None:
        """Nothing."""

    def trouble(self, text: str) -> None:
        """Once when it begins, once when it is over."""
        if text and not self._trouble:
            note(f"{text} Trying again.")
        elif self._trouble and not text:
            note("The engine answers again.")
        self._trouble = text


class JsonView(QuietView):
    """Every line of the log as one JSON object on standard output."""

    def line(self, line: Mapping[str, Any]) -> None:
        """At once, so that a reader on the other end of a pipe sees it."""
        print_json(line)


class ScreenView(QuietView):
    """Lines on standard output; below them, if a terminal is there, a bar with the job's state and progress.

    Only into a terminal lines go without what could command it; a pipe or a file gets them as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._plain = not sys.stdout.isatty()
        # The bar and the lines share a console where they share a terminal, or they would overwrite each other.
        self._console = console(stderr=self._plain)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[share]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("submitted", total=None, share="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def line(self, line: Mapping[str, Any]) -> None:
        """In full, whatever its length."""
        if self._plain:
            print(line["line"], flush=True)
        else:
            style = LINE_STYLES.get(line.get("stream", "stdout"), "")
            self._console.print(Text(harmless(line["line"]), style=style), soft_wrap=True)

    def state(self, record: Mapping[str, Any]) -> None:
        """The bar is definite once the job tells how far it is."""
        progress = record.get("progress", {})
        percent = progress.get("percent")
        self._bar.update(
            self._task,
            description=_cut(harmless(describe_state(record)), self._console.width - BAR_CELLS),
            total=None if percent is None else 100,
            completed=percent or 0,
            share="" if percent is None else f"{percent:.0f} %",
        )


def _cut(text: str, cells: int) -> str:
    return text if len(text) <= max(cells, 20) else text[: max(cells, 20) - 1] + "…"


def describe_state(record: Mapping[str, Any]) -> str:
    """Where a job is, in a few words: what it waits for, or what it does."""
    status = str(record["status"])
    if "cancel_requested" in record and "finished" not in record:
        return f"{status}, asked to stop"
    if hold := record.get("hold"):
        return f"{status}: {hold['message']}"
    if children := record.get("children"):
        return f"{status}: " + ", ".join(f"{count} {name}" for name, count in sorted(children.items()) if count)
    if message := record.get("progress", {}).get("message"):
        return f"{status}: {message}"
    return status
