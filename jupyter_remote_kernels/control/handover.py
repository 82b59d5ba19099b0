"""One runtime's way from one process to the next: taken up where it is, let go without an end."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from jupyter_remote_kernels.control.takeover import is_resumable
from jupyter_remote_kernels.errors import RemoteKernelsError
from jupyter_remote_kernels.model.phases import Event, Phase
from jupyter_remote_kernels.model.records import ExitCause

if TYPE_CHECKING:
    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.services import Services

_CUT_SHORT = ExitCause(
    "resume_cut_short",
    "the server ended before the kernel had its state back",
    "The snapshot is whole: resume it again.",
)
_WITH_AGENT = (Phase.STARTING, Phase.RUNNING, Phase.PAUSING)


class Handover:
    """Takes a runtime up that another process had launched, or lets one go for another.

    Parameters
    ----------
    driver : RuntimeDriver
        Whose.
    services : Services
        What all drivers share.

    Attributes
    ----------
    is_returning : bool
        Taken up, and its kernel has not answered yet.
    is_detached : bool
        Let go; it goes on without us.
    """

    def __init__(self, driver: RuntimeDriver, services: Services) -> None:
        self._driver = driver
        self._services = services
        self.is_returning = False
        self.is_detached = False

    async def resume(self) -> None:
        """Begin to drive, from where the runtime is now."""
        driver = self._driver
        driver.take_events()
        self.is_returning = True
        phase = driver.record.phase
        driver.bridge.activity.executions = int(driver.record.usage.get("executions") or 0)
        driver.show_step()
        driver.pausing.take_up()
        if phase in (Phase.PAUSING, Phase.PAUSED, Phase.RESUMING) and self._take_up_state():
            return
        if phase is Phase.FAILED:
            driver.bridge.activity.execution_state = "dead"
            driver.reject_held()
            if driver.record.checkpoint is not None:
                driver.job.stop()
            return
        if phase is Phase.SUBMITTED and driver.record.job_id is not None:
            driver.job.start()  # a warm job, which may not have been claimed yet
            return
        if phase in _WITH_AGENT:
            # The process before us may have ended between the phase and the ledger.
            await driver.lease.charge(Phase.STARTING)
            driver.unreachable_since_s = time.time()
            if driver.record.exit is not None:
                # Its kernel is gone, which the agent has told the process before us.
                driver.kernel_exit = driver.record.exit
                driver.bridge.activity.execution_state = "dead"
            driver.links.open()
            if phase is Phase.STARTING:
                driver.clock.begin()
        # Beside us: an engine may take its time to answer.
        self._services.background.spawn(driver.job.poll(), f"poll {driver.record.id}")

    def _take_up_state(self) -> bool:
        """Go on with a runtime that was on its way into a snapshot or out of one.

        Returns
        -------
        bool
            Whether it has no kernel now, so that there is no more to take up.
        """
        driver, record = self._driver, self._driver.record
        if record.phase is Phase.PAUSING and record.snapshot_id is None:
            # Nothing was committed, and the kernel is as it was.
            driver.post(Event.STATE_FAILED)
            return False
        self.is_returning = False
        if record.phase is Phase.PAUSING:
            driver.post(Event.STATE_SAVED)
        elif record.phase is Phase.RESUMING:
            driver.post(Event.STATE_FAILED, exit=_CUT_SHORT)
        elif record.checkpoint is not None:
            driver.job.stop()
        return True

    async def let_go(self) -> None:
        """Detach if the runtime can go on without us. Called by the driver, between events."""
        driver, record = self._driver, self._driver.record
        cannot_be_left = record.phase in (Phase.FAILED, Phase.RESUMING)
        if cannot_be_left or driver.job.is_starting or not is_resumable(record):
            return
        driver.clock.stop()
        await driver.pausing.work.close()
        await driver.links.detach()
        with contextlib.suppress(RemoteKernelsError):  # then we are its dead owner soon
            await self._services.registry.ledger.mark([record.id])
            usage = {**record.usage, "executions": driver.bridge.activity.executions}
            await self._services.registry.update(record.id, owner=None, usage=usage)
        self.is_detached = True
        await driver.release()
