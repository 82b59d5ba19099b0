"""The ledger adds up, whatever happens to clocks and processes."""

from __future__ import annotations

import contextlib

import pytest

from jupyter_remote_kernels.control.ledger import Clock, Ledger
from jupyter_remote_kernels.control.registry import Registry


class Machine:
    """A machine whose clocks a test moves."""

    def __init__(self):
        self.calendar_s = 1_795_219_200.0
        self.steady_s = 500.0
        self.boot = "first"

    def pass_time(self, seconds):
        self.calendar_s += seconds
        self.steady_s += seconds

    def clock(self):
        return Clock(lambda: self.calendar_s, lambda: self.steady_s, lambda: self.boot)


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "registry.sqlite3"


@pytest.fixture
def reopen(path, machine):
    """Open the ledger as a process that starts anew does."""
    with contextlib.ExitStack() as stack:

        def opened():
            registry = stack.enter_context(contextlib.closing(Registry(path)))
            return Ledger(registry._connection, path, machine.clock())

        yield opened


@pytest.fixture
def ledger(reopen):
    return reopen()


def begin(ledger, runtime_id="r", kind="running", rate=3600.0):
    ledger.open(runtime_id, "name", "env", kind, rate)


def test_open_until_closed(ledger, machine):
    begin(ledger)
    machine.pass_time(10)
    (entry,) = ledger.list()
    assert (entry.seconds, entry.credits, entry.is_open) == (10, 10, True)
    ledger.close("r")
    machine.pass_time(100)
    (entry,) = ledger.list()
    assert (entry.seconds, entry.is_open) == (10, False)
    assert ledger.charged(["r", "other"]) == {"r": 10, "other": 0}


def test_opened_twice_is_one(ledger, machine):
    begin(ledger)
    machine.pass_time(5)
    begin(ledger)
    machine.pass_time(5)
    (entry,) = ledger.list()
    assert entry.seconds == 10


def test_paused_rate_is_an_entry_of_its_own(ledger, machine):
    begin(ledger)
    machine.pass_time(10)
    begin(ledger, kind="paused", rate=36.0)
    machine.pass_time(100)
    begin(ledger)
    machine.pass_time(1)
    ledger.close("r")
    found = [(entry.kind, entry.seconds) for entry in reversed(ledger.list())]
    assert found == [("running", 10), ("paused", 100), ("running", 1)]
    assert ledger.charged(["r"])["r"] == 12


@pytest.mark.parametrize("jump_s", [-86_400, -5, 3600])
def test_calendar_that_is_set_charges_nothing(ledger, machine, jump_s):
    begin(ledger)
    machine.pass_time(10)
    machine.calendar_s += jump_s
    machine.pass_time(10)
    (entry,) = ledger.list()
    assert entry.seconds == 20
    ledger.close("r")
    assert ledger.list()[0].seconds == 20


def test_calendar_that_stands_still(ledger, machine):
    begin(ledger)
    machine.steady_s += 60
    assert ledger.list()[0].seconds == 60


def test_crash_of_the_process_loses_and_invents_nothing(reopen, machine):
    begin(reopen())
    machine.pass_time(30)
    again = reopen()
    machine.pass_time(5)
    again.close("r")
    (entry,) = again.list()
    assert entry.seconds == 35


def test_end_that_is_known_better(ledger, machine):
    begin(ledger)
    machine.pass_time(500)
    ledger.close("r", 42.5)
    assert ledger.list()[0].seconds == 42.5


def test_end_that_nobody_knows_is_where_it_was_last_seen(ledger, machine):
    begin(ledger)
    machine.pass_time(60)
    ledger.mark(["r", "unknown"])
    machine.pass_time(10_000)
    ledger.close_as_seen("r")
    assert ledger.list()[0].seconds == 60


def test_reboot_falls_back_to_the_calendar(reopen, machine):
    begin(reopen())
    machine.pass_time(60)
    machine.boot, machine.steady_s = "second", 3.0
    machine.calendar_s += 40
    again = reopen()
    assert again.list()[0].seconds == 100
    # A calendar that was set back meanwhile takes away nothing that had been seen.
    again.mark(["r"])
    machine.calendar_s -= 5000
    again.close("r")
    assert again.list()[0].seconds == 100


def test_machine_without_a_name_for_its_start(reopen, machine):
    machine.boot = ""
    begin(reopen())
    machine.calendar_s += 7
    assert reopen().list()[0].seconds == 7


def test_only_what_reaches_into_a_period(ledger, machine):
    begin(ledger, "old")
    machine.pass_time(100)
    ledger.close("old")
    begin(ledger, "new")
    machine.pass_time(100)
    since_s = machine.calendar_s - 150
    assert [(e.runtime_id, e.seconds) for e in ledger.list(since_s)] == [("new", 100), ("old", 50)]
    assert [e.runtime_id for e in ledger.list(machine.calendar_s - 50)] == ["new"]
