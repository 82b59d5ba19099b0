"""Credits: what running costs, how it adds up, and what a budget still allows.

A runtime is charged from the moment its job runs until the job has ended, in entries of one
rate each. The seconds of an entry are kept to the millisecond; its credits are rounded to six
places, and sums are sums of these. Waiting in a queue costs nothing. A paused runtime is charged
at its environment's paused rate, which stands for storage only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PERIODS = ("day", "month", "total")
_PLACES = 6
# What passes between two readings of one account, in seconds.
_TOLERANCE_S = 0.5


@dataclass(frozen=True)
class LedgerEntry:
    """A stretch of time at one rate.

    Attributes
    ----------
    runtime_id, name, environment : str
        Whose it is.
    kind : str
        ``running`` or ``paused``.
    credits_per_hour : float
        The rate.
    started_s : float
        Seconds since the epoch.
    seconds : float
        How long it has lasted.
    is_open : bool
        Whether it goes on.
    """

    runtime_id: str
    name: str
    environment: str
    kind: str
    credits_per_hour: float
    started_s: float
    seconds: float
    is_open: bool

    @property
    def credits(self) -> float:
        """What it costs."""
        return charge(self.credits_per_hour, self.seconds)

    @property
    def ended_s(self) -> float:
        """When it ended, or now, in seconds since the epoch."""
        return self.started_s + self.seconds

    def since(self, moment_s: float) -> LedgerEntry | None:
        """Return the part after a moment, or None when all of it was before."""
        if self.ended_s <= moment_s:
            return None
        if self.started_s >= moment_s:
            return self
        rest_s = round(self.ended_s - moment_s, 3)
        return self.changed(moment_s, rest_s)

    def changed(self, started_s: float, seconds: float) -> LedgerEntry:
        """Return the same with another beginning and length."""
        values = {**vars(self), "started_s": started_s, "seconds": seconds}
        return LedgerEntry(**values)

    def split_days(self) -> Iterator[tuple[str, LedgerEntry]]:
        """Yield the parts on each day (UTC) with the day's date."""
        begin_s, left_s = self.started_s, self.seconds
        while True:
            day = datetime.fromtimestamp(begin_s, timezone.utc).date()
            midnight = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
            room_s = (midnight + timedelta(days=1)).timestamp() - begin_s
            part_s = min(left_s, room_s)
            yield day.isoformat(), self.changed(begin_s, round(part_s, 3))
            left_s -= part_s
            begin_s += part_s
            if left_s <= 0:
                return


@dataclass(frozen=True)
class Budget:
    """How much may be used.

    Attributes
    ----------
    credits : float or None
        The most in one period; None is no limit.
    period : str
        ``day``, ``month`` (both UTC) or ``total``.
    """

    credits: float | None = None
    period: str = "month"

    def __post_init__(self) -> None:
        if self.period not in PERIODS:
            raise InvalidInput(f"the period of a budget is one of {', '.join(PERIODS)}")

    def period_started_s(self, now_s: float) -> float:
        """Return when the present period began, in seconds since the epoch; 0 for ``total``."""
        if self.period == "total":
            return 0.0
        now = datetime.fromtimestamp(now_s, timezone.utc)
        day = 1 if self.period == "month" else now.day
        return datetime(now.year, now.month, day, tzinfo=timezone.utc).timestamp()

    def left(self, used: float, reserved: float) -> float | None:
        """Return what is neither used nor reserved; None without a limit."""
        return None if self.credits is None else max(0.0, self.credits - used - reserved)


def charge(credits_per_hour: float, seconds: float) -> float:
    """Return what a stretch of time costs, in credits."""
    return round(credits_per_hour * seconds / 3600, _PLACES)


def total(entries: Iterable[LedgerEntry]) -> float:
    """Return the sum of entries, in credits."""
    return round(sum(entry.credits for entry in entries), _PLACES)


def grant_lease(
    wanted_s: float | None,
    *,
    default_s: float | None,
    max_s: float | None,
    credits_per_hour: float,
    left: float | None,
) -> float | None:
    """Decide how long a launch may last.

    Parameters
    ----------
    wanted_s : float or None
        What was asked for, in seconds; None leaves it to the environment.
    default_s, max_s : float or None
        The environment's.
    credits_per_hour : float
        The environment's rate.
    left : float or None
        Credits that are left; None without a budget.

    Returns
    -------
    float or None
        Seconds; None is without an end.

    Raises
    ------
    LimitExceeded
        When it is longer than the environment allows, or costs more than is left.
    """
    lease_s = wanted_s if wanted_s is not None else default_s if default_s is not None else max_s
    if max_s is not None and lease_s is not None and lease_s > max_s:
        raise LimitExceeded(
            f"a reservation of {lease_s:.0f} s was asked for, the environment allows {max_s:.0f} s",
            hint="Ask for less time; a running reservation can be extended.",
            limit=_limit("lease", "environment", lease_s, max_s, 0.0),
        )
    if left is None or credits_per_hour <= 0:
        return lease_s
    affordable_s = left / credits_per_hour * 3600
    if affordable_s < 1 or (wanted_s is not None and wanted_s > affordable_s + _TOLERANCE_S):
        asked = charge(credits_per_hour, lease_s or 0.0)
        raise LimitExceeded(
            f"{asked:g} credits were asked for, {left:g} are left"
            if lease_s is not None
            else f"{left:g} credits are left",
            hint="Ask for less time, or have the budget raised.",
            limit=_limit("credits", "user", asked, left, 0.0),
        )
    # Nobody asked for a time: then it lasts as long as it can be paid for.
    return affordable_s if lease_s is None else min(lease_s, affordable_s)


def summarize_days(entries: Sequence[LedgerEntry]) -> list[dict[str, Any]]:
    """Return seconds and credits per day (UTC), newest first."""
    days: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        for date, part in entry.split_days():
            days.setdefault(date, []).append(part)
    return [
        {
            "date": date,
            "seconds": round(sum(part.seconds for part in days[date]), 3),
            "credits": total(days[date]),
        }
        for date in sorted(days, reverse=True)
    ]


def _limit(name: str, scope: str, asked: float, allowed: float, used: float) -> dict[str, Any]:
    return {"name": name, "scope": scope, "asked": asked, "allowed": allowed, "used": used}
