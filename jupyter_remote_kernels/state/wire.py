"""The state stream on a blocking socket: written from live buffers, read to where it belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.protocol.state_stream import (
    HEAD_BYTES,
    JsonRecord,
    parse_head,
    parse_record,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from jupyter_remote_kernels.protocol.state_stream import Buffer, Record

_MOST_BUFFERS = 64
_BATCH_BYTES = 4 << 20


class Closed(Exception):
    """The other side has gone: nobody wants the rest."""


class Writer:
    """Sends records.

    Parameters
    ----------
    connection : socket.socket
        Blocking.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting: list[Buffer] = []
        self._bytes = 0

    def json(self, value: dict[str, Any]) -> None:
        """Send a JSON record, and all that waits, at once."""
        self.write(JsonRecord(value).encode())
        self.flush()

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Send buffers soon; they must not change until they are flushed."""
        self._waiting += buffers
        self._bytes += sum(memoryview(buffer).nbytes for buffer in buffers)
        if self._bytes >= _BATCH_BYTES or len(self._waiting) >= _MOST_BUFFERS:
            self.flush()

    def flush(self) -> None:
        """Send everything that waits."""
        waiting = [memoryview(buffer).cast("B") for buffer in self._waiting]
        self._waiting, self._bytes = [], 0
        while waiting:
            try:
                sent = self._connection.sendmsg(waiting[:_MOST_BUFFERS])
            except OSError as error:
                raise Closed from error
            while waiting and sent >= waiting[0].nbytes:
                sent -= waiting.pop(0).nbytes
            if sent:
                waiting[0] = waiting[0][sent:]


class Reader:
    """Reads records.

    Parameters
    ----------
    connection : socket.socket
        Blocking.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def head(self) -> tuple[bytes, int]:
        """Read a record's kind and length."""
        return parse_head(self.bytes(HEAD_BYTES))

    def bytes(self, count: int) -> bytearray:
        """Read so many bytes."""
        data = bytearray(count)
        self.into(memoryview(data))
        return data

    def into(self, view: memoryview) -> None:
        """Fill a buffer."""
        at = 0
        while at < view.nbytes:
            try:
                count = self._connection.recv_into(view[at:])
            except OSError as error:
                raise Closed from error
            if not count:
                raise Closed
            at += count

    def record(self) -> Record:
        """Read a whole record."""
        kind, length = self.head()
        return parse_record(kind, self.bytes(length))
