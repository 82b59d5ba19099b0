"""Credits and limits as pure decisions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_remote_kernels.errors import InvalidInput, LimitExceeded
from jupyter_remote_kernels.model.credits import (
    Budget,
    LedgerEntry,
    charge,
    grant_lease,
    summarize_days,
    total,
)
from jupyter_remote_kernels.model.environments import Environment, Resources
from jupyter_remote_kernels.model.limits import (
    UserLimits,
    check_user,
    choose_resources,
    read_user_limits,
)

DAY_S = 86_400
MORNING_S = 1_795_219_200.0  # 2026-11-21T00:00:00Z


def entry(started_s=MORNING_S, seconds=3600.0, rate=10.0, **others):
    values = {"runtime_id": "r", "name": "n", "environment": "e", "kind": "running"}
    return LedgerEntry(
        **{**values, **others},
        credits_per_hour=rate,
        started_s=started_s,
        seconds=seconds,
        is_open=False,
    )


def test_charge_is_rounded_to_six_places():
    assert charge(10, 3600) == 10
    assert charge(1, 1) == 0.000278
    assert charge(0, 10**9) == 0


@given(st.floats(0, 10 * DAY_S).map(lambda s: round(s, 3)), st.floats(0, 5 * DAY_S))
def test_days_add_up(offset_s, seconds):
    whole = entry(MORNING_S + offset_s, round(seconds, 3))
    days = summarize_days([whole])
    assert sum(day["seconds"] for day in days) == pytest.approx(whole.seconds, abs=0.01)
    assert sum(day["credits"] for day in days) == pytest.approx(whole.credits, abs=1e-4)
    assert len({day["date"] for day in days}) == len(days)


def test_days_are_utc_and_newest_first():
    days = summarize_days([entry(MORNING_S - 1800, 3600)])
    assert [(day["date"], day["seconds"]) for day in days] == [
        ("2026-11-21", 1800),
        ("2026-11-20", 1800),
    ]


def test_since_cuts_an_entry_off():
    whole = entry()
    assert whole.since(MORNING_S - 1) is whole
    assert whole.since(MORNING_S + 3600) is None
    rest = whole.since(MORNING_S + 600)
    assert (rest.started_s, rest.seconds, rest.credits) == (MORNING_S + 600, 3000, charge(10, 3000))
    assert total([whole, rest]) == pytest.approx(whole.credits + rest.credits)


@pytest.mark.parametrize(
    "period, started_s",
    [("day", MORNING_S), ("month", MORNING_S - 20 * DAY_S), ("total", 0)],
)
def test_periods(period, started_s):
    assert Budget(1, period).period_started_s(MORNING_S + 5000) == started_s


def test_period_that_is_none():
    with pytest.raises(InvalidInput):
        Budget(1, "week")


def grant(wanted_s=None, default_s=None, max_s=None, rate=0.0, left=None):
    return grant_lease(wanted_s, default_s=default_s, max_s=max_s, credits_per_hour=rate, left=left)


@pytest.mark.parametrize(
    "asked, granted",
    [
        ({}, None),
        ({"default_s": 60}, 60),
        ({"max_s": 90}, 90),
        ({"wanted_s": 10, "default_s": 60}, 10),
        ({"rate": 3600, "left": None}, None),
        ({"rate": 0, "left": 5}, None),
        ({"rate": 3600, "left": 5}, 5),
        ({"rate": 3600, "left": 5, "default_s": 60}, 5),
        ({"rate": 3600, "left": 5, "wanted_s": 4}, 4),
    ],
)
def test_what_a_launch_gets(asked, granted):
    assert grant(**asked) == granted


@pytest.mark.parametrize(
    "asked, name",
    [
        ({"wanted_s": 91, "max_s": 90}, "lease"),
        ({"rate": 3600, "left": 5, "wanted_s": 7}, "credits"),
        ({"rate": 3600, "left": 0}, "credits"),
        ({"rate": 3600, "left": 0.0001, "default_s": 60}, "credits"),
    ],
)
def test_what_a_launch_does_not_get(asked, name):
    with pytest.raises(LimitExceeded) as caught:
        grant(**asked)
    assert caught.value.limit["name"] == name
    assert set(caught.value.limit) == {"name", "scope", "asked", "allowed", "used"}


@given(
    st.one_of(st.none(), st.floats(1, 10**6)),
    st.floats(0.1, 10**4),
    st.floats(0, 10**4),
)
def test_nothing_is_granted_that_cannot_be_paid(wanted_s, rate, left):
    try:
        lease_s = grant(wanted_s=wanted_s, rate=rate, left=left)
    except LimitExceeded:
        return
    assert lease_s is not None
    # Half a second is what may pass between two readings of the account.
    assert rate * lease_s / 3600 <= left + rate / 3600


def environment(**keys):
    return Environment("e", "E", **keys)


def test_resources_are_chosen_one_by_one():
    own = environment(
        resources=Resources(1, 2**30, 0), max_resources=Resources(cpu=4, memory_bytes=2**31)
    )
    assert choose_resources(own, None) == own.resources
    assert choose_resources(own, Resources(cpu=3)) == Resources(3, 2**30, 0)
    with pytest.raises(LimitExceeded, match="3 GiB of memory asked for"):
        choose_resources(own, Resources(memory_bytes=3 * 2**30))
    with pytest.raises(LimitExceeded) as caught:
        choose_resources(own, Resources(gpu=1))
    assert caught.value.limit == {
        "name": "gpu",
        "scope": "environment",
        "asked": 1,
        "allowed": 0,
        "used": 0,
    }


def test_without_limits_everything_is_allowed():
    assert choose_resources(environment(), Resources(10**4, 2**50, 99)).gpu == 99
    check_user(UserLimits(), [Resources()] * 10**4, Resources())


def test_limits_of_a_user():
    limits = read_user_limits({"runtimes": 3, "cpu": 4, "memory": "4GiB", "gpu": 1})
    assert limits == UserLimits(3, Resources(4, 2**32, 1))
    living = [Resources(1, 2**30, 1)]
    check_user(limits, living, Resources(3, 3 * 2**30))
    for asked, name in (
        (Resources(3.5, 1), "cpu"),
        (Resources(1, 2**32), "memory"),
        (Resources(1, 1, 1), "gpu"),
        (Resources(1), "memory"),
    ):
        with pytest.raises(LimitExceeded) as caught:
            check_user(limits, living, asked)
        assert caught.value.limit["name"] == name
    with pytest.raises(LimitExceeded) as caught:
        check_user(limits, [Resources(0.1, 1)] * 3, Resources(0.1, 1))
    assert caught.value.limit["name"] == "runtimes"


@pytest.mark.parametrize("data", [{"runtimes": -1}, {"runtimes": True}, {"disk": 1}, {"cpu": 0}])
def test_limits_that_are_none(data):
    with pytest.raises(InvalidInput):
        read_user_limits(data)
