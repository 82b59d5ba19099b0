"""What a bridge has seen of its kernel: whether it works, when it last did, how often."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.messages import unpack

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Activity:
    """What the bridge has seen of the kernel.

    Attributes
    ----------
    execution_state : str
        ``starting``, ``idle``, ``busy`` or ``dead``.
    last_s : float
        Time of the last message that a user caused, seconds since the epoch.
    executions : int
        Execute requests answered.
    """

    execution_state: str = "starting"
    last_s: float = field(default_factory=time.time)
    executions: int = 0

    def observe(self, parts: Sequence[memoryview]) -> None:
        """Keep the execution state; all other messages cost one search in the header."""
        if b'"status"' not in bytes(parts[0]):
            if self.execution_state == "busy":
                self.last_s = time.time()
            return
        try:
            state = str(unpack(parts[3]).get("execution_state", ""))
            cause = str(unpack(parts[1]).get("msg_type", ""))
        except InvalidInput:
            return
        # Questions that the front end asks by itself are nobody's activity.
        if cause in ("execute_request", "comm_msg", "comm_open"):
            self.last_s = time.time()
            self.execution_state = state


class Executing:
    """The cells that a kernel was given and has not answered yet. Used on the bridge's loop."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._quiet: list[asyncio.Future[None]] = []

    def __bool__(self) -> bool:
        """Tell whether there is one."""
        return bool(self._ids)

    def add(self, msg_id: str) -> None:
        """Note that the kernel was given a cell."""
        self._ids.add(msg_id)

    def remove(self, msg_id: str) -> None:
        """Note that the kernel has answered."""
        self._ids.discard(msg_id)
        if not self._ids:
            self._tell()

    def clear(self) -> None:
        """Note that there will be no answers any more."""
        self._ids.clear()
        self._tell()

    async def wait_quiet(self) -> None:
        """Wait until there is none."""
        while self._ids:
            quiet: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._quiet.append(quiet)
            await quiet

    def _tell(self) -> None:
        waiting, self._quiet = self._quiet, []
        for quiet in waiting:
            if not quiet.done():
                quiet.set_result(None)
