"""The end of a server that pauses its runtimes: all at once, in a limited time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import RemoteKernelsError
from jupyter_remote_kernels.model.phases import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_remote_kernels.control.driver import RuntimeDriver

_log = logging.getLogger(__name__)


async def pause_all(drivers: Iterable[RuntimeDriver], limit_s: float) -> int:
    """Pause what has a kernel, and see that its jobs are gone; returns how many are paused now.

    What cannot be paused in time goes on.

    Parameters
    ----------
    drivers : iterable of RuntimeDriver
        The process's runtimes.
    limit_s : float
        How long that may take, in seconds; kernels that run a cell are waited for.
    """
    chosen = [driver for driver in drivers if driver.record.phase in (Phase.RUNNING, Phase.PAUSING)]
    if chosen:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(_pause(driver)) for driver in chosen]
        _, late = await asyncio.wait(tasks, timeout=limit_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A cell that runs on is not to be held up by a pause that nobody waits for.
        await asyncio.gather(*(driver.pausing.cancel() for driver in chosen))
    return sum(driver.record.phase is Phase.PAUSED for driver in chosen)


async def _pause(driver: RuntimeDriver) -> None:
    try:
        await driver.pausing.pause()
    except RemoteKernelsError as error:
        _log.warning("runtime %s goes on, it cannot be paused: %s", driver.record.id, error)
    else:
        # The machine is to be given back, and nobody may come who would see to that.
        await driver.job.wait_stopped()
