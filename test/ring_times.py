"""A plugin of pytest for `make test`: the summary has each ring's time and what tests want printed; no skips in CI.

A test prints lines there by ``record_property("summary", [title, line, ...])``: that works from any process.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest


class RingTimes:
    """Notes when tests of each ring ran; a ring is the folder below test/ that they stand in."""

    def __init__(self) -> None:
        self._spans: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        self._tests: Counter[str] = Counter()
        self._sections: list[list[str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        ring = Path(report.nodeid.split("::")[0]).parts[1:2]
        name = ring[0] if ring else "other"
        self._spans[name].append((report.start, report.stop))
        self._tests[name] += report.when == "call"
        if report.when == "teardown":
            self._sections += [lines for name, lines in report.user_properties if name == "summary"]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for title, *lines in self._sections:
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.line(line)
        terminalreporter.section("time of each ring: by the clock, and of its tests one by one")
        rings = {**self._spans, "all": [span for spans in self._spans.values() for span in spans]}
        for name, spans in rings.items():
            tests = self._tests[name] if name in self._tests else self._tests.total()
            alone = sum(stop - start for start, stop in spans)
            terminalreporter.line(f"{name:12} {tests:5} tests {_covered(spans):8.1f} s {alone:8.1f} s")


def _covered(spans: list[tuple[float, float]]) -> float:
    """The seconds in which at least one of the spans was open."""
    covered, until = 0.0, 0.0
    for start, stop in sorted(spans):
        covered += max(0.0, stop - max(start, until))
        until = max(until, stop)
    return covered


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(RingTimes())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI everything that the tests need can be had: what does not start there is an error."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report
