"""How long a job may run before its kernel has to answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jupyter_remote_kernels.model.phases import Event
from jupyter_remote_kernels.model.records import ExitCause

if TYPE_CHECKING:
    from jupyter_remote_kernels.control.driver import RuntimeDriver


class StartClock:
    """Gives a job that runs a limited time to show its kernel.

    Parameters
    ----------
    driver : RuntimeDriver
        Told when the time is over.
    limit_s : float
        The time, in seconds.
    """

    def __init__(self, driver: RuntimeDriver, limit_s: float) -> None:
        self._driver = driver
        self._limit_s = limit_s
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        """Whether a kernel is waited for."""
        return self._timer is not None

    def begin(self) -> None:
        """Count from now on."""
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(self._limit_s, self._end)

    def stop(self) -> None:
        """Count no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        cause = ExitCause(
            "agent_silent",
            f"the job runs, but its kernel did not answer within {self._limit_s:.0f} s",
            "See the runtime's log.",
        )
        self._driver.post(Event.START_FAILED, exit=cause)
