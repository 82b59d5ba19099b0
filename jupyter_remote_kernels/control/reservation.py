"""One runtime's reservation and charges: granted, changed, told, written into the ledger."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.lease_end import LeaseEnd
from jupyter_remote_kernels.errors import Conflict, RemoteKernelsError
from jupyter_remote_kernels.model.phases import FINAL_PHASES, Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.services import Services

_log = logging.getLogger(__name__)
# How much two readings of one deadline may differ by the way they took.
_SAME_MOMENT_S = 0.5


class LeaseKeeper:
    """Keeps one runtime's reservation in step with its agent, which counts the time.

    Parameters
    ----------
    driver : RuntimeDriver
        Whose.
    services : Services
        What all drivers share.
    """

    def __init__(self, driver: RuntimeDriver, services: Services) -> None:
        self._driver = driver
        self._services = services
        self.end = LeaseEnd(driver, services)

    async def grant_again(self) -> float | None:
        """Decide about a new reservation after the old one has ended, in seconds.

        Raises
        ------
        LimitExceeded
            When the budget does not allow it any more.
        """
        record = self._driver.record
        return await self._services.accounts.grant(record.environment, record.wanted_lease_s)

    async def change(self, lease_s: float | None) -> None:
        """Extend or shorten.

        Parameters
        ----------
        lease_s : float or None
            The whole of it from its beginning, in seconds; None is without an end.

        Raises
        ------
        Conflict
            When the runtime does not run, or the new end is in the past.
        LimitExceeded
            When that is longer than allowed, or costs more than is left.
        LinkUnavailable
            When the agent, which keeps the time, cannot be reached. Nothing is changed then.
        """
        link, record = self._driver.link, self._driver.record
        if link is None or record.phase is not Phase.RUNNING:
            raise Conflict(
                "the runtime does not run",
                reason="runtime_not_running",
                hint="Its reservation begins when it runs.",
            )
        granted_s = await self._services.accounts.grant_change(record, lease_s)
        await self.take(await link.client.change_lease(granted_s))

    async def set_policy(self, policy: str) -> None:
        """Change what happens at its end.

        Parameters
        ----------
        policy : str
            ``terminate`` or ``pause``.

        Raises
        ------
        Conflict
            When the runtime does not run yet, or not any more.
        LinkUnavailable
            When the agent cannot be reached. Nothing is changed then.
        """
        link, record = self._driver.link, self._driver.record
        if link is not None and record.phase is Phase.RUNNING:
            await link.client.set_lease_policy(policy)
        elif record.phase is not Phase.PAUSED:
            raise Conflict(
                "the runtime does not run",
                reason="runtime_not_running",
                hint="What happens at its end can be changed when it runs, or is paused.",
            )
        environment = replace(record.environment, lease_policy=policy)
        self._driver.record = await self._services.registry.update(
            record.id, environment=environment
        )
        self.end.plan()
        self._driver.tell("lease", lease_s=record.lease_s, expires_s=record.expires_s)

    async def take(self, lease: Mapping[str, Any]) -> None:
        """Take what the agent says about its reservation; a warning is passed on."""
        left_s, warning_s = lease.get("remaining_s"), lease.get("warning_s")
        expires_s = None if left_s is None else time.time() + left_s
        driver, before = self._driver, self._driver.record
        is_same = before.lease_s == lease.get("lease_s") and _are_close(before.expires_s, expires_s)
        if not is_same:
            driver.record = await self._services.registry.update(
                before.id, lease_s=lease.get("lease_s"), expires_s=expires_s
            )
        if not is_same:
            self.end.plan()
        if warning_s is not None or not is_same:
            data = {"lease_s": driver.record.lease_s, "expires_s": driver.record.expires_s}
            extra = {} if warning_s is None else {"warning_s": warning_s, "remaining_s": left_s}
            driver.tell("lease", **data, **extra)

    async def charge(self, phase: Phase) -> None:
        """Begin, change or end what the runtime is charged, now that it is in this phase."""
        accounts, record = self._services.accounts, self._driver.record
        try:
            age_s = self._driver.job.age_s
            if phase is Phase.PAUSED and self._driver.left.is_there and age_s is not None:
                # Nobody was there when it was saved, and it is charged until then.
                await accounts.close_ended(record.id, age_s)
            if phase is Phase.STARTING:
                await accounts.open(record, "running")
            elif phase is Phase.PAUSED:
                await accounts.open(record, "paused")
            elif phase in FINAL_PHASES and self._has_ended_alone:
                # Nobody was there when it ended, and it is charged until then.
                await accounts.close_ended(record.id, self._driver.job.age_s)
            elif phase in FINAL_PHASES:
                await accounts.close(record.id)
        except RemoteKernelsError as error:
            # A full disk must not keep a job running; the next start's sweep closes the entry.
            _log.warning("runtime %s: not in the ledger: %s", record.id, error)

    @property
    def _has_ended_alone(self) -> bool:
        driver = self._driver
        return driver.handover.is_returning and driver.unreachable_since_s is not None


def _are_close(before_s: float | None, after_s: float | None) -> bool:
    if before_s is None or after_s is None:
        return before_s is after_s
    return abs(before_s - after_s) < _SAME_MOMENT_S
