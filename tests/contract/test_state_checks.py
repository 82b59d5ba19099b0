"""The 71 kinds of state, each restored in a fresh kernel, and all of them in one namespace."""

from __future__ import annotations

import importlib.util

import pytest

from tests.contract.library_checks import LIBRARY_CHECKS
from tests.contract.state_checks import CLEAN_UP, PYTHON_CHECKS
from tests.contract.state_kernel import Mother, StateKernel, read_report
from tests.engines.tools import give_up

CHECKS = [*LIBRARY_CHECKS, *PYTHON_CHECKS]
# A session with all of it in one namespace carries at least this share (126 of 136).
SHARE = 126 / 136


def is_installed(check):
    return all(importlib.util.find_spec(module) for module in check.needs)


@pytest.fixture(scope="module")
def mother():
    with Mother() as process:
        yield process


@pytest.fixture
def source(mother):
    with StateKernel(mother) as kernel:
        yield kernel


@pytest.fixture
def target(mother):
    with StateKernel(mother) as kernel:
        yield kernel


def test_there_are_71_checks():
    assert len(CHECKS) == 71
    assert len([check for check in CHECKS if not check.refused]) >= 58


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_check(check, source, target):
    if not is_installed(check):
        give_up(f"not installed: {', '.join(check.needs)}")
    source.run(check.make)
    stream = source.capture()
    report = read_report(stream)
    refused = {name for name, entry in report.items() if entry["status"] == "refused"}
    assert refused == set(check.refused), report
    assert all(report[name]["reason"] for name in refused)
    restored = target.restore(stream)
    assert {entry["name"] for entry in restored["lost"]} == set(check.refused), restored
    if check.verify:
        target.run(check.verify)


def test_all_in_one_namespace(source, target):
    checks = [check for check in CHECKS if is_installed(check)]
    for check in checks:
        source.run(check.make)
    stream = source.capture()
    try:
        source.run(CLEAN_UP)
    finally:
        report = read_report(stream)
    restored = target.restore(stream)
    lost = {entry["name"]: entry["reason"] for entry in restored["lost"]}
    assert all(lost.values())
    assert set(report) <= set(restored["restored"]) | set(lost)
    assert len(restored["restored"]) >= SHARE * len(report), lost
    assert set(lost) == {name for check in checks for name in check.refused}
    failed = {}
    # What uses up random numbers comes after what looks at them.
    for check in sorted(checks, key=lambda each: "random" not in each.name):
        if check.verify:
            try:
                target.run(check.verify)
            except Exception as error:  # noqa: BLE001 - all of them are shown at once
                failed[check.name] = str(error)
    assert failed == {}
