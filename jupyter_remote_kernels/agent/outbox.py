"""What waits to be sent to one client, gathered so that many messages cost little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from jupyter_remote_kernels.protocol.frames import encode_head

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from jupyter_remote_kernels.protocol.frames import Buffer

# Printed lines that follow each other faster than this travel together.
_GATHER_S = 0.002
_LARGE_OUTBOX_BYTES = 256 * 1024

Parts = list["Buffer"]


class Outbox:
    """Gathers messages and hands them on in their order.

    Every message costs a system call and a wake-up in three processes. Lines that a loop
    prints are gathered for a moment; everything that somebody may wait for leaves at once.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The agent's loop.
    send : callable
        Gets encoded messages, each as its parts.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, send: Callable[[list[Parts]], None]
    ) -> None:
        self._loop = loop
        self._send = send
        self._pending: list[Parts] = []
        self._pending_bytes = 0
        self._flushed_s = 0.0
        self._timer: asyncio.Handle | None = None
        self._is_urgent = False

    def put(self, channel: str, parts: Sequence[Buffer]) -> None:
        """Take a message.

        Parameters
        ----------
        channel : str
            Its channel.
        parts : sequence of bytes-like
            Its parts.
        """
        message = [encode_head(channel, parts), *parts]
        self._pending.append(message)
        self._pending_bytes += sum(map(len, message))
        if self._pending_bytes > _LARGE_OUTBOX_BYTES:
            # Not later: a kernel that floods us would fill the memory before our turn comes.
            self.flush()
            return
        can_wait = channel == "iopub" and b'"stream"' in parts[0]
        self._schedule(urgent=not can_wait)

    def flush(self) -> None:
        """Hand on what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._flushed_s = self._loop.time()
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if pending:
            self._send(pending)

    def close(self) -> None:
        """Forget what waits."""
        if self._timer is not None:
            self._timer.cancel()
        self._pending = []

    def _schedule(self, *, urgent: bool) -> None:
        if self._timer is not None:
            if self._is_urgent or not urgent:
                return
            self._timer.cancel()
        if urgent or self._loop.time() - self._flushed_s > _GATHER_S:
            self._is_urgent = True
            self._timer = self._loop.call_soon(self.flush)
        else:
            self._is_urgent = False
            self._timer = self._loop.call_later(_GATHER_S, self.flush)
