"""A plugin of pytest for `make test`: each ring's time in the summary, and no skipped tests in CI."""

import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest


class RingTimes:
    """Adds up the reports of the tests by the folder below test/ that they stand in."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()
        self._tests: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        ring = Path(report.nodeid.split("::")[0]).parts[1:2]
        name = ring[0] if ring else "other"
        self._seconds[name] += report.duration
        self._tests[name] += report.when == "call"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.section("time of each ring")
        for name, seconds in self._seconds.most_common():
            terminalreporter.line(f"{name:12} {self._tests[name]:5} tests {seconds:8.1f} s")
        terminalreporter.line(f"{'all':12} {self._tests.total():5} tests {self._seconds.total():8.1f} s")


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
