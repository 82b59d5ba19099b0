"""The agent's lease: warnings, extension, the end, sleeping machines."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_remote_kernels.agent.ending import describe_duration
from jupyter_remote_kernels.agent.lease import Lease
from jupyter_remote_kernels.errors import Conflict


class Told:
    def __init__(self, warnings_s=(300.0, 60.0)):
        self.now_s = 1000.0
        self.warnings = []
        self.ended = 0
        self.lease = Lease(warnings_s, self.warnings.append, self._end, lambda: self.now_s)

    def _end(self):
        self.ended += 1

    def pass_time(self, seconds):
        """Let time pass, and the timer come that is due then."""
        self.now_s += seconds
        self.lease._look()


@pytest.fixture
def told():
    return Told


def on_loop(test):
    """Timers need a loop, which never gets to run them here."""

    async def run():
        test()

    asyncio.run(run())


def test_each_warning_once_and_the_end_once(told):
    def scenario():
        one = told()
        one.lease.begin(400)
        assert one.lease.remaining_s == 400
        for seconds, warnings, ended in (
            (99, [], 0),
            (2, [300], 0),
            (100, [300], 0),
            (140, [300, 60], 0),
            (58, [300, 60], 0),
            (2, [300, 60], 1),
            (9, [300, 60], 1),
        ):
            one.pass_time(seconds)
            assert (one.warnings, one.ended) == (warnings, ended)

    on_loop(scenario)


def test_short_lease_is_not_warned_of_what_is_known(told):
    def scenario():
        one = told()
        one.lease.begin(60)
        one.pass_time(1)
        assert one.warnings == []
        one.lease.change(61.5)
        one.pass_time(1)
        assert one.warnings == [60]

    on_loop(scenario)


def test_extension_warns_again(told):
    def scenario():
        one = told()
        one.lease.begin(400)
        one.pass_time(350)
        assert one.warnings == [60]
        one.lease.change(800)
        one.pass_time(160)
        assert one.warnings == [60, 300]

    on_loop(scenario)


def test_after_a_sleep_only_what_is_still_true_is_told(told):
    def scenario():
        one = told()
        one.lease.begin(1000)
        one.pass_time(970)
        assert one.warnings == [60]
        one.pass_time(100)
        assert one.ended == 1

    on_loop(scenario)


def test_no_end_and_an_end_taken_away(told):
    def scenario():
        one = told()
        one.lease.begin(None)
        one.pass_time(10**9)
        assert (one.lease.remaining_s, one.ended) == (None, 0)
        one.lease.begin(100)
        one.lease.change(None)
        one.pass_time(1000)
        assert (one.warnings, one.ended) == ([], 0)

    on_loop(scenario)


def test_past_and_over_are_refused(told):
    def scenario():
        one = told()
        one.lease.begin(100)
        one.pass_time(50)
        for lease_s in (1, 50):
            with pytest.raises(Conflict, match="in the past"):
                one.lease.change(lease_s)
        assert one.lease.lease_s == 100
        one.pass_time(50)
        with pytest.raises(Conflict):
            one.lease.change(1000)

    on_loop(scenario)


def test_timer_comes_by_itself():
    ended = asyncio.Event

    async def run():
        over = ended()
        lease = Lease([0.05], lambda warning_s: None, over.set)
        lease.begin(0.1)
        await asyncio.wait_for(over.wait(), 10)
        return lease.age_s

    assert asyncio.run(run()) >= 0.1


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0.2, "1 second"),
        (59.6, "1 minute"),
        (90, "1 minute 30 seconds"),
        (3600, "1 hour"),
        (7200, "2 hours"),
        (90_061, "1 day 1 hour"),
    ],
)
def test_durations_in_words(seconds, words):
    assert describe_duration(seconds) == words
