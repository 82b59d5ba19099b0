"""A tap: a browser's websocket, joined to a bridge without ZMQ in between.

The bridge and the browser speak the same framing, so a message of the kernel passes through
this process as the bytes that it came in. What no browser takes, because it is away or slow, waits
in memory up to a limit and beyond it in a file; nothing is dropped up to the bound of both.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.frames import decode
from jupyter_remote_kernels.protocol.messages import unpack
from jupyter_remote_kernels.protocol.websocket_frames import coalesce, frame_head
from jupyter_remote_kernels.spill import SpillingQueue

if TYPE_CHECKING:
    import asyncio

    from jupyter_remote_kernels.link.bridge import Bridge
    from jupyter_remote_kernels.protocol.frames import Buffer

MEMORY_BYTES = 8 * 1024 * 1024
# How much may be on its way to a browser that does not read it.
_FLIGHT_BYTES = 8 * 1024 * 1024
_BATCH_BYTES = 1024 * 1024
_TRY_AGAIN_LATER = 1013

_log = logging.getLogger(__name__)


class WebsocketTap:
    """Carries messages from the bridge's thread to one browser after the other.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The server's loop.
    bridge : Bridge
        Where the messages come from.
    session_key : str
        Kernel and session of the browser; empty while there has been none yet.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, bridge: Bridge, session_key: str) -> None:
        self.session_key = session_key
        self._loop = loop
        self._bridge = bridge
        self._lock = threading.Lock()
        self._waiting = SpillingQueue(bridge.find_spill_directory(), MEMORY_BYTES)
        self._is_scheduled = False
        self._is_ended = False
        self._handler: Any = None
        # Messages that waited for another page; what only that one can understand is left out.
        self._foreign = 0
        # Counted anew for each websocket: a dead one's bytes are not waited for.
        self._flight = _Flight()

    @property
    def waiting_bytes(self) -> int:
        """How much waits, in memory and in files."""
        return self._waiting.size_bytes

    @property
    def memory_bytes(self) -> int:
        """How much of it is in memory."""
        return self._waiting.memory_bytes

    # -- on the bridge's thread -----------------------------------------------

    def deliver(self, data: Buffer) -> None:
        """Take a message."""
        with self._lock:
            if self._is_ended:
                return
            with contextlib.suppress(OSError):
                # A full disk: it waits in memory then, until a file can be written again.
                self._waiting.append((data,))
            if self._waiting.size_bytes > self._bridge.kept_bytes:
                self._overflow()
        self._wake()

    def close(self) -> None:
        """Called when nothing comes any more; what waits is still written to a browser."""
        with self._lock:
            self._is_ended = True
        self._wake()

    # -- on the server's loop -------------------------------------------------

    def open(self, handler: Any, session_key: str) -> None:
        """Write to this websocket from now on, first what has waited."""
        if session_key != self.session_key:
            self._foreign = len(self._waiting)
        self.session_key = session_key
        self._handler = handler
        self._flight = _Flight()
        self._drain()

    def suspend(self) -> None:
        """Keep what comes until a browser is there."""
        self._handler = None
        self._end()

    def _wake(self) -> None:
        # A batch is one wake-up. The flag is lowered before the queue is read, so a message
        # that sees it raised is always read.
        if not self._is_scheduled:
            self._is_scheduled = True
            with contextlib.suppress(RuntimeError):  # the server's loop has ended before us
                self._loop.call_soon_threadsafe(self._drain)

    def _overflow(self) -> None:
        """Begin anew: nobody takes it, and the disk is not ours alone."""
        _log.warning("a browser has not taken %d bytes; they are dropped", self.waiting_bytes)
        self._waiting.close()
        self._foreign = 0
        # The page comes back, and finds the outputs of its cells in the journal.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_send_away, self._handler)

    def _drain(self) -> None:
        self._is_scheduled = False
        if self._handler is None:
            self._end()
            return
        connection = self._handler.ws_connection
        if connection is None or connection.is_closing() or self._flight.bytes >= _FLIGHT_BYTES:
            return
        batch, has_more = self._take_batch()
        if batch:
            self._write(batch, connection.stream)
        if has_more:
            # In turns with everybody else on this loop.
            self._wake()
        else:
            self._end()

    def _take_batch(self) -> tuple[list[Buffer], bool]:
        batch: list[Buffer] = []
        size = 0
        with self._lock:
            while len(self._waiting) and size < _BATCH_BYTES:
                try:
                    (data,) = self._waiting.take()
                except OSError:
                    _log.exception("what waited for a browser cannot be read")
                    continue
                if self._foreign:
                    self._foreign -= 1
                    if not self._is_for_any_page(data):
                        continue
                batch.append(data)
                size += len(data)
            return batch, len(self._waiting) > 0

    def _is_for_any_page(self, data: Buffer) -> bool:
        """Tell whether a message that waited for another page is of use to this one.

        A new page asks the kernel for its widgets, and only a question that is still open can be
        answered.
        """
        try:
            header = unpack(decode(data)[1][0])
        except (InvalidInput, IndexError):
            return False
        kind = str(header.get("msg_type"))
        if kind == "input_request":
            return header.get("msg_id") == self._bridge.question_id
        return not kind.startswith("comm_")

    def _write(self, batch: list[Buffer], stream: Any) -> None:
        future = None
        size = sum(len(data) for data in batch)
        if self._handler.get_compression_options() is not None:
            for data in batch:
                future = self._handler.write_message(bytes(data), binary=True)
        else:
            chunks: list[Buffer] = []
            for data in batch:
                chunks += (frame_head(len(data)), data)
            for chunk in coalesce(chunks):
                if stream.closed():
                    return
                future = stream.write(chunk)
        if future is None or future.done():
            return
        flight = self._flight
        flight.bytes += size

        def landed(written: Any) -> None:
            was_full = flight.bytes >= _FLIGHT_BYTES
            flight.bytes -= size
            # A closed websocket is told to its handler, too.
            if not written.cancelled() and written.exception() is None and was_full:
                self._drain()

        future.add_done_callback(landed)

    def _end(self) -> None:
        with self._lock:
            if self._is_ended and (self._handler is None or not len(self._waiting)):
                self._waiting.close()


def _send_away(handler: Any) -> None:
    if handler is not None:
        handler.close(_TRY_AGAIN_LATER, "too much waits")


class _Flight:
    """What is on its way through one websocket."""

    def __init__(self) -> None:
        self.bytes = 0
