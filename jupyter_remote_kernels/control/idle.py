"""Idle pauses: what has had nothing to do for as long as its environment says is paused."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import RemoteKernelsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.control.background import BackgroundLoop
    from jupyter_remote_kernels.control.driver import RuntimeDriver

_log = logging.getLogger(__name__)
_LONGEST_S = 10.0
_SHORTEST_S = 0.2


class IdlePauses:
    """Pauses the idle ones among a process's runtimes. Used on the control plane's loop.

    Parameters
    ----------
    drivers : mapping of str to RuntimeDriver
        The runtimes; they come and go.
    background : BackgroundLoop
        Owns the pauses.
    """

    def __init__(self, drivers: Mapping[str, RuntimeDriver], background: BackgroundLoop) -> None:
        self._drivers = drivers
        self._background = background
        # What could not be paused is not tried again at once.
        self._not_before_s: dict[str, float] = {}

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:  # noqa: ASYNC110 - nothing tells that nothing has happened
            await asyncio.sleep(self.look())

    def look(self) -> float:
        """Begin to pause what is due; returns after how many seconds to look again."""
        left_s = [self._look_at(driver) for driver in list(self._drivers.values())]
        return max(_SHORTEST_S, min([_LONGEST_S, *left_s]))

    def _look_at(self, driver: RuntimeDriver) -> float:
        record, activity = driver.record, driver.bridge.activity
        limit_s = record.environment.idle_pause_s
        if limit_s is None:
            return _LONGEST_S
        look_s = min(_LONGEST_S, float(limit_s))
        is_busy = activity.execution_state != "idle" or bool(driver.bridge.executing)
        if not driver.is_settled or driver.unreachable_since_s is not None or is_busy:
            return look_s
        due_s = max(activity.last_s + limit_s, self._not_before_s.get(record.id, 0.0))
        left_s = due_s - time.time()
        if left_s <= 0:
            self._not_before_s[record.id] = time.time() + limit_s
            self._background.spawn(self._pause(driver), f"idle pause of {record.id}")
        return left_s if left_s > 0 else look_s

    async def _pause(self, driver: RuntimeDriver) -> None:
        try:
            await driver.pausing.pause()
        except RemoteKernelsError as error:
            _log.warning("the idle runtime %s cannot be paused: %s", driver.record.id, error)
        else:
            self._not_before_s.pop(driver.record.id, None)
