"""Accounts: what has been used, what is reserved, and what a launch may still take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_remote_kernels.model.credits import Budget, LedgerEntry, charge, grant_lease, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_remote_kernels.control.registry import AsyncRegistry
    from jupyter_remote_kernels.model.environments import Environment
    from jupyter_remote_kernels.model.records import RuntimeRecord


@dataclass(frozen=True)
class Balance:
    """How an account stands.

    Attributes
    ----------
    budget : Budget
        What may be used.
    period_started_s : float
        When the present period began, in seconds since the epoch.
    used : float
        Credits charged in this period.
    reserved : float
        Credits that the rest of living runtimes' reservations can still cost.
    entries : sequence of LedgerEntry
        This period's entries, newest first.
    """

    budget: Budget
    period_started_s: float
    used: float
    reserved: float
    entries: Sequence[LedgerEntry]

    @property
    def left(self) -> float | None:
        """Credits that a new launch may reserve; None without a budget."""
        return self.budget.left(self.used, self.reserved)


class Accounts:
    """The account of the registry's user. Used on the control plane's loop.

    Parameters
    ----------
    registry : AsyncRegistry
        Ledger and living runtimes, also those of other processes.
    budget : Budget
        What may be used.
    """

    def __init__(self, registry: AsyncRegistry, budget: Budget) -> None:
        self._registry = registry
        self._budget = budget

    async def balance(self, without: str | None = None) -> Balance:
        """Return how the account stands now.

        Parameters
        ----------
        without : str, optional
            A runtime whose own reservation is not counted.
        """
        now_s = time.time()
        started_s = self._budget.period_started_s(now_s)
        entries = await self._registry.ledger.list(started_s)
        records = await self._registry.list_living()
        reserved = sum(_reserved(item, now_s) for item in records if item.id != without)
        return Balance(self._budget, started_s, total(entries), round(reserved, 6), entries)

    async def grant(self, environment: Environment, wanted_s: float | None) -> float | None:
        """Decide how long a launch may last.

        Returns
        -------
        float or None
            Seconds; None is without an end.

        Raises
        ------
        LimitExceeded
            When it is longer than the environment allows, or costs more than is left.
        """
        return await self._grant(environment, wanted_s, None)

    async def grant_change(self, record: RuntimeRecord, wanted_s: float | None) -> float | None:
        """Decide whether a runtime's reservation may become another one; see :meth:`grant`.

        Parameters
        ----------
        record : RuntimeRecord
            The runtime.
        wanted_s : float or None
            The whole reservation from its beginning, in seconds; None is without an end.
        """
        if wanted_s is None and record.environment.max_lease_s is None and not self._is_limited:
            return None
        return await self._grant(record.environment, wanted_s, record)

    async def list_entries(self, since_s: float) -> Sequence[LedgerEntry]:
        """Return the ledger's entries since a moment, newest first."""
        return await self._registry.ledger.list(since_s)

    async def open(self, record: RuntimeRecord, kind: str) -> None:
        """Begin to charge a runtime as ``running`` or ``paused``."""
        environment = record.environment
        is_running = kind == "running"
        rate = environment.credits_per_hour if is_running else environment.paused_credits_per_hour
        await self._registry.ledger.open(record.id, record.name, environment.name, kind, rate)

    async def close(self, runtime_id: str) -> None:
        """Charge a runtime no longer."""
        await self._registry.ledger.close(runtime_id)

    async def close_ended(self, runtime_id: str, age_s: float | None) -> None:
        """Charge a runtime no longer that has ended some time ago.

        Parameters
        ----------
        runtime_id : str
            Which.
        age_s : float or None
            How long it had lived, in seconds; None when nobody knows. Then it is charged until
            it was last seen, because the job may not have run any more.
        """
        ledger = self._registry.ledger
        if age_s is None:
            await ledger.close_as_seen(runtime_id)
        else:
            await ledger.close(runtime_id, age_s)

    @property
    def _is_limited(self) -> bool:
        return self._budget.credits is not None

    async def _grant(
        self, environment: Environment, wanted_s: float | None, record: RuntimeRecord | None
    ) -> float | None:
        left = used = None
        if self._is_limited and environment.credits_per_hour > 0:
            balance = await self.balance(record.id if record else None)
            left = balance.left
            if record is not None:
                used = sum(e.credits for e in balance.entries if e.runtime_id == record.id)
        return grant_lease(
            wanted_s,
            default_s=environment.default_lease_s,
            max_s=environment.max_lease_s,
            credits_per_hour=environment.credits_per_hour,
            # What the runtime itself has used is part of its reservation.
            left=None if left is None else left + (used or 0.0),
        )


def _reserved(record: RuntimeRecord, now_s: float) -> float:
    if record.expires_s is not None:
        rest_s = max(0.0, record.expires_s - now_s)
    elif record.lease_s is not None:
        rest_s = record.lease_s  # it has not begun
    else:
        rest_s = 0.0
    return charge(record.environment.credits_per_hour, rest_s)
