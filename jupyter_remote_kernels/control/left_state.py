"""The state that an agent has left beside itself, because its time was over with the server away.

Until it is a snapshot, the runtime is on its way into a pause: it cannot go back, since its kernel
is gone, and it is not lost, since its state is there. So what stands in the way now is waited for.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.job_files import read_file
from jupyter_remote_kernels.errors import (
    Conflict,
    ProviderUnavailable,
    RegistryError,
    RemoteKernelsError,
    StoreError,
)
from jupyter_remote_kernels.model.phases import Event, Phase, Target
from jupyter_remote_kernels.model.records import ExitCause
from jupyter_remote_kernels.protocol.settings import BUNDLE_FILE, STATE_LEFT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.control.services import Services
    from jupyter_remote_kernels.snapshots.manifest import Manifest

_log = logging.getLogger(__name__)
_TRY_AGAIN_S = 5.0
_WAITING = (StoreError, ProviderUnavailable, RegistryError)
_WITH_KERNEL = (Phase.STARTING, Phase.RUNNING, Phase.PAUSING)


def is_state_left(cause: ExitCause | None) -> bool:
    """Tell whether an agent that has ended so has left its kernel's state."""
    return cause is not None and cause.reason == STATE_LEFT


class LeftState:
    """Makes a snapshot of what one runtime's agent has left.

    Parameters
    ----------
    driver : RuntimeDriver
        Whose; it asks what to make of an event.
    services : Services
        What all drivers share.

    Attributes
    ----------
    is_there : bool
        Whether there is such a state, which is no snapshot yet.
    """

    def __init__(self, driver: RuntimeDriver, services: Services) -> None:
        self._driver = driver
        self._services = services
        self._cause: ExitCause | None = None
        self.is_there = False

    def translate(
        self, event: Event, facts: Mapping[str, Any]
    ) -> list[tuple[Event, Mapping[str, Any]]]:
        """Return what is to be applied in the place of an event; usually the event itself.

        Raises
        ------
        Conflict
            When it cannot be, because there is no kernel to go back to.
        """
        phase = self._driver.record.phase
        if self._driver.pausing.is_saved:
            return [(event, facts)]
        if phase in _WITH_KERNEL and event is Event.JOB_ENDED and is_state_left(facts.get("exit")):
            return self._take_up(phase, facts["exit"])
        if self.is_there and phase is Phase.PAUSING and event is Event.WANT_RUNNING:
            raise Conflict(
                "its kernel has ended, and its state is on its way into the snapshots",
                reason="state_left",
                hint="Resume it when it is paused.",
            )
        return [(event, facts)]

    async def take(self) -> Manifest | None:
        """Make the snapshot, however long something is in the way.

        Returns
        -------
        Manifest or None
            None when there is nothing of use, which is told as an event.
        """
        driver = self._driver
        await driver.links.close()
        while True:
            try:
                return await self._take_once()
            except _WAITING as error:
                _log.warning("runtime %s: its state cannot be stored: %s", driver.record.id, error)
                driver.pausing.work.failure = error
                driver.step = f"its state cannot be stored yet: {error.message}"
                driver.tell("kernel")
                await asyncio.sleep(_TRY_AGAIN_S)
            except RemoteKernelsError as error:
                self._give_up(error)
                return None

    async def forget(self) -> None:
        """Remove what was left, now that it is a snapshot."""
        self.is_there = False
        directory = self._services.job_directory(self._driver.record.job_name)
        await asyncio.to_thread((directory / BUNDLE_FILE).unlink, missing_ok=True)

    # -- inside ---------------------------------------------------------------

    def _take_up(self, phase: Phase, cause: ExitCause) -> list[tuple[Event, Mapping[str, Any]]]:
        is_new, self.is_there, self._cause = not self.is_there, True, cause
        wish = (Event.WANT_PAUSED, {"target": Target.PAUSED})
        if phase is Phase.STARTING:
            return [(Event.LINK_READY, {}), wish]
        if phase is Phase.RUNNING:
            return [wish]
        if is_new:
            # Somebody wanted it paused already, and it was the agent that has saved it.
            self._driver.pausing.work.capture()
        return []

    async def _take_once(self) -> Manifest:
        driver = self._driver
        manifest = await self._services.snapshots.take_left(
            await self._find(), driver.record, driver.pausing.work.count
        )
        driver.show_step()
        return manifest

    async def _find(self) -> AsyncGenerator[bytes, None]:
        """Return what was left, piece by piece, from wherever the job has run."""
        driver = self._driver
        path = self._services.job_directory(driver.record.job_name) / BUNDLE_FILE
        if await asyncio.to_thread(path.exists):
            return read_file(path)
        return driver.job.provider.read_left(driver.job.checkpoint or {}, BUNDLE_FILE)

    def _give_up(self, error: RemoteKernelsError) -> None:
        """Tell that the state is lost, and why."""
        _log.error("runtime %s: the state that was left: %s", self._driver.record.id, error)
        self.is_there = False
        words = self._cause.message if self._cause else "its time was over"
        cause = ExitCause("state_lost", f"{words}. It cannot be used: {error.message}", error.hint)
        self._driver.post(Event.JOB_ENDED, exit=cause)
