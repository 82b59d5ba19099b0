"""Sockets of ZMQ and TCP on an asyncio loop; shared by the link and the agent.

pyzmq's own asyncio sockets make a future per operation, which costs more than everything
else on the way of a small message. A callback per message is enough here.
"""

from __future__ import annotations

import asyncio
import socket as sockets
from typing import TYPE_CHECKING, Any, Callable

import zmq

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

Message = list[bytes]
# After so many messages the loop gets a turn, so that one noisy kernel cannot starve others.
_BATCH = 256
# An idle connection whose other end has vanished is given up after this and three questions.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


def keep_alive(connection: sockets.socket) -> None:
    """Let a TCP connection end by itself when its other end has vanished."""
    connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(sockets, name):  # not every system can be told so
            connection.setsockopt(sockets.IPPROTO_TCP, getattr(sockets, name), value)


async def run_until(work: Coroutine[Any, Any, None], over: asyncio.Future[Any]) -> None:
    """Run something, but no longer than until something else is done.

    Parameters
    ----------
    work : coroutine
        Cancelled then; what it raises before is raised.
    over : asyncio.Future
        The end of any interest in it.
    """
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({working, over}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
            if not working.cancelled():
                working.exception()  # of no interest any more


async def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run something that must come to its end; who is cancelled meanwhile is so afterwards.

    Parameters
    ----------
    work : coroutine
        What it raises is raised.
    """
    working = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not working.done():
        try:
            await asyncio.wait({working})
        except asyncio.CancelledError as error:
            cancelled = error
    working.result()
    if cancelled is not None:
        raise cancelled


class SocketPump:
    """Calls ``on_message`` for every message of one socket.

    Parameters
    ----------
    socket : zmq.Socket
        Owned by the pump from now on; high-water marks are switched off by the caller.
    on_message : callable
        Gets the parts of a message.
    loop : asyncio.AbstractEventLoop
        The loop on which everything happens.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        on_message: Callable[[Message], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.socket = socket
        self._on_message = on_message
        self._loop = loop
        self._scheduled = False
        self._is_paused = False
        self._descriptor: int = socket.getsockopt(zmq.FD)  # type: ignore[assignment]
        loop.add_reader(self._descriptor, self._drain)
        self._schedule()

    def send(self, parts: Sequence[bytes | memoryview]) -> None:
        """Send a message without blocking and without copying large parts.

        A message to a peer that is gone is dropped by ZMQ, as the protocol expects.
        """
        try:
            self.socket.send_multipart(parts, zmq.NOBLOCK, copy=False)
        except zmq.Again:
            # Only a socket without any peer says so; nobody is there to miss the message.
            return
        # ZMQ's descriptor is edge-triggered: a send may swallow the edge of an arrival.
        self._schedule()

    def pause(self) -> None:
        """Read no more until :meth:`resume`; what comes waits with its sender."""
        self._is_paused = True

    def resume(self) -> None:
        """Read on."""
        self._is_paused = False
        if not self.socket.closed:
            self._schedule()

    def close(self, linger_ms: int = 0) -> None:
        """Close the socket; may be called twice.

        Parameters
        ----------
        linger_ms : int
            How long messages that are still to be sent may take, in milliseconds.
        """
        if not self.socket.closed:
            self._loop.remove_reader(self._descriptor)
            self.socket.close(linger=linger_ms)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._scheduled = False
        socket = self.socket
        for _ in range(_BATCH):
            if socket.closed or self._is_paused:
                return
            try:
                # Copying a part is cheaper than keeping track of it, up to many megabytes.
                message = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._on_message(message)
        self._schedule()
