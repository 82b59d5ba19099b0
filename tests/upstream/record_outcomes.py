"""A pytest plugin that writes what became of each test to the file in ``UPSTREAM_OUTCOMES``.

A test counts as passed when its set-up, its call and its tear-down all passed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_outcomes: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the worst outcome of a test's three steps. Called by pytest after each step."""
    known = _outcomes.get(report.nodeid)
    if report.failed or known is None or (known == "passed" and report.skipped):
        _outcomes[report.nodeid] = report.outcome


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A file that cannot be collected fails as a whole, under its own name."""
    if report.failed:
        _outcomes[report.nodeid] = "failed"


def pytest_sessionfinish() -> None:
    """Write the file. Called by pytest once, at the end of the run."""
    path = Path(os.environ["UPSTREAM_OUTCOMES"])
    path.write_text(json.dumps(_outcomes, indent=1, sort_keys=True), encoding="utf-8")
