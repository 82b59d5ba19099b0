"""Reading ZMQ sockets on an asyncio loop; shared by the link and the agent.

pyzmq's own asyncio sockets make a future per operation, which costs more than everything
else on the way of a small message. A callback per message is enough here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

import zmq

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

Message = list[bytes]
# After so many messages the loop gets a turn, so that one noisy kernel cannot starve others.
_BATCH = 256


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
            if socket.closed:
                return
            try:
                # Copying a part is cheaper than keeping track of it, up to many megabytes.
                message = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._on_message(message)
        self._schedule()
