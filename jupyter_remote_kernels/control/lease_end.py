"""The end of a reservation whose runtime is then to be paused: begun in time before it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import RemoteKernelsError
from jupyter_remote_kernels.model.phases import Phase
from jupyter_remote_kernels.protocol.saving import find_lead_s

if TYPE_CHECKING:
    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.services import Services

_log = logging.getLogger(__name__)
_LOOK_AGAIN_S = 10.0
_INTERRUPT_AGAIN_S = 2.0


class LeaseEnd:
    """Pauses one runtime before its reservation is over, if its policy says so.

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
        self._waiting: asyncio.Task[None] | None = None
        self._is_pausing = False

    def plan(self) -> None:
        """Begin to wait for the end, which may be another one than before."""
        record = self._driver.record
        if self._is_pausing:
            return
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if record.environment.lease_policy == "pause" and record.expires_s is not None:
            self._waiting = self._services.background.spawn(
                self._wait(), f"end of the reservation of {record.id}"
            )

    async def _wait(self) -> None:
        # The kernel may grow, and a clock may be set.
        while (left_s := self._find_due_s()) > 0:  # noqa: ASYNC110 - nothing tells either
            await asyncio.sleep(min(left_s, _LOOK_AGAIN_S))
        driver = self._driver
        # A runtime that cannot be reached is saved by its agent.
        if not driver.is_settled or driver.unreachable_since_s is not None:
            return
        self._is_pausing = True
        interrupting = asyncio.get_running_loop().create_task(self._interrupt_late())
        try:
            await driver.pausing.pause()
        except RemoteKernelsError as error:
            _log.warning("runtime %s cannot be paused before its end: %s", driver.record.id, error)
        finally:
            interrupting.cancel()
            self._is_pausing = False

    def _find_due_s(self) -> float:
        """Return in how many seconds to begin."""
        return self._find_left_s() - self._find_lead_s()

    def _find_left_s(self) -> float:
        expires_s = self._driver.record.expires_s
        return float("inf") if expires_s is None else expires_s - time.time()

    def _find_lead_s(self) -> float:
        speed = self._services.snapshots.bytes_per_s
        size_bytes = self._driver.metrics.get("memory_bytes")
        return find_lead_s(size_bytes, speed, self._driver.record.lease_s or 0.0)

    async def _interrupt_late(self) -> None:
        """Interrupt a cell that runs on, when half of the time for the pause is over."""
        driver = self._driver
        await asyncio.sleep(max(0.0, self._find_left_s() - self._find_lead_s() / 2))
        while driver.record.phase is Phase.PAUSING and driver.bridge.executing:
            if driver.link is not None:
                await driver.link.interrupt()
            await asyncio.sleep(_INTERRUPT_AGAIN_S)
