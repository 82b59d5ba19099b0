"""A tap: a browser's websocket, joined to a bridge without ZMQ in between.

The bridge and the browser speak the same framing, so a message of the kernel passes through
this process as the bytes that it came in.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.protocol.websocket_frames import coalesce, frame_head

if TYPE_CHECKING:
    import asyncio

    from jupyter_remote_kernels.protocol.frames import Buffer


class WebsocketTap:
    """Carries messages from the bridge's thread to one browser.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The server's loop.
    session_key : str
        Kernel and session; a browser that comes back with it gets what it missed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, session_key: str) -> None:
        self.session_key = session_key
        self._loop = loop
        self._waiting: deque[Buffer] = deque()
        self._is_scheduled = False
        self._handler: Any = None

    def deliver(self, data: Buffer) -> None:
        """Take a message. Called on the bridge's thread."""
        self._waiting.append(data)
        # A batch is one wake-up. The flag is lowered before the queue is read, so a message
        # that sees it raised is always read.
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon_threadsafe(self._drain)

    def open(self, handler: Any) -> None:
        """Write to this websocket from now on, first what has waited. On the server's loop."""
        self._handler = handler
        self._drain()

    def suspend(self) -> None:
        """Keep what comes until a browser is back. On the server's loop."""
        self._handler = None

    def _drain(self) -> None:
        self._is_scheduled = False
        if self._handler is None:
            return
        connection = self._handler.ws_connection
        if connection is None or connection.is_closing():
            return
        batch: list[Buffer] = []
        while self._waiting:
            batch.append(self._waiting.popleft())
        if self._handler.get_compression_options() is not None:
            for data in batch:
                self._handler.write_message(bytes(data), binary=True)
            return
        chunks: list[Buffer] = []
        for data in batch:
            chunks += (frame_head(len(data)), data)
        for chunk in coalesce(chunks):
            if connection.stream.closed():
                return
            connection.stream.write(chunk)
