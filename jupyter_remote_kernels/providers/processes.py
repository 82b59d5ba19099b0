"""Waiting for processes of this host, reading them in a thread, and starting some."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from typing import TYPE_CHECKING

from jupyter_remote_kernels.protocol.nursery import LABEL_VARIABLE
from jupyter_remote_kernels.providers.process_table import (
    ProcessInfo,
    ProcessTable,
    boot_id,
    hold_process,
    is_alive,
    look_at,
    read_processes,
)

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "LABEL_VARIABLE",
    "JobProcess",
    "ProcessInfo",
    "ProcessReader",
    "ProcessTable",
    "boot_id",
    "is_alive",
    "look_at",
    "read_processes",
    "wait_ended",
]

_POLL_S = 0.02


class ProcessReader:
    """Reads the table in a thread, once for all who ask at the same time.

    Stopping many jobs at once would else read the same hundreds of files for each of them.
    """

    def __init__(self) -> None:
        self._running: asyncio.Task[ProcessTable] | None = None
        self._next: asyncio.Task[ProcessTable] | None = None

    async def read(self) -> ProcessTable:
        """Return a table that is no older than this call."""
        if self._next is None or self._next.done():
            self._next = asyncio.get_running_loop().create_task(self._read_after(self._running))
        # One caller who is cancelled must not take the answer from the others.
        return await asyncio.shield(self._next)

    async def _read_after(self, running: asyncio.Task[ProcessTable] | None) -> ProcessTable:
        if running is not None and not running.done():
            await asyncio.wait({running})
        # Who asks from here on needs a later look.
        self._running, self._next = self._next, None
        return await asyncio.to_thread(read_processes)


class JobProcess(subprocess.Popen[bytes]):
    """A child that may outlive this process."""

    def __del__(self) -> None:
        """Stay silent: that the child still runs is intended, and nothing to warn about."""


async def wait_ended(processes: Collection[ProcessInfo], timeout_s: float) -> bool:
    """Wait until processes have ended.

    Returns
    -------
    bool
        False when some still run after ``timeout_s`` seconds.
    """
    waiting = asyncio.gather(*(_wait_one(info) for info in processes))
    try:
        await asyncio.wait_for(waiting, timeout_s)
    except asyncio.TimeoutError:
        return False
    return True


async def _wait_one(info: ProcessInfo) -> None:
    with contextlib.suppress(ProcessLookupError), hold_process(info.pid) as descriptor:
        if descriptor is None:
            # No event without process descriptors (before Linux 5.3), and it is not our child.
            while is_alive(info.pid, info.identity):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
        elif is_alive(info.pid, info.identity):
            loop = asyncio.get_running_loop()
            ended = asyncio.Event()
            loop.add_reader(descriptor, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(descriptor)
