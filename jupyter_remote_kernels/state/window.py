"""Memory that this kernel shares with the process that stores its state, on one machine.

A chunk that is put there goes through no socket. The other side says when its place is free again.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.protocol.state_stream import CHUNK_BYTES
from jupyter_remote_kernels.state.attempts import attempt
from jupyter_remote_kernels.state.wire import Closed

if TYPE_CHECKING:
    from collections.abc import Callable

_CREDENTIALS = struct.Struct("3i")
_NUMBERS = 256
_LIMIT_S = 5.0


class Window:
    """One window, for one capture. Linux only.

    Parameters
    ----------
    name : str
        Of the socket, without a file, where the other side listens.

    Raises
    ------
    OSError
        When nobody who may is there, or there is no memory.
    """

    def __init__(self, name: str) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connection.settimeout(_LIMIT_S)
            self._connection.connect(f"\0{name}")
            self._memory = _receive_memory(self._connection)
            self._connection.settimeout(None)
        except BaseException:
            self._connection.close()
            raise
        self._free = list(range(len(self._memory) // CHUNK_BYTES))

    def put(self, chunk: Any, before_waiting: Callable[[], None]) -> int:
        """Put a chunk into a place that is free; returns where that begins.

        Parameters
        ----------
        chunk : bytes-like
            At most as large as a place.
        before_waiting : callable
            Called when there is none yet: the other side must have heard of all.

        Raises
        ------
        Closed
            When nobody wants it any more.
        """
        if not self._free:
            before_waiting()
            self._wait()
        view = memoryview(chunk).cast("B")
        offset = self._free.pop() * CHUNK_BYTES
        self._memory[offset : offset + view.nbytes] = view
        return offset

    def close(self) -> None:
        """Give it back; what is in it stays for the other side."""
        self._connection.close()
        self._memory.close()

    def _wait(self) -> None:
        try:
            numbers = self._connection.recv(_NUMBERS)
        except OSError as error:
            raise Closed from error
        if not numbers:
            raise Closed
        self._free += numbers


def open_window(name: Any) -> Window | None:
    """Open a window that was offered; None where it cannot be had, and all goes by the socket.

    Parameters
    ----------
    name : str or None
        What was offered.
    """
    window, _ = attempt(Window, name) if name else (None, None)
    return window


def _receive_memory(connection: socket.socket) -> mmap.mmap:
    # A name without a file belongs to whoever takes it first.
    kind = getattr(socket, "SO_PEERCRED", None)
    if kind is None:
        raise OSError("there are no credentials")
    credentials = connection.getsockopt(socket.SOL_SOCKET, kind, _CREDENTIALS.size)
    if _CREDENTIALS.unpack(credentials)[1] != os.getuid():
        raise OSError("somebody else listens there")
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    if not descriptors:
        raise OSError("there is no memory")
    try:
        return mmap.mmap(descriptors[0], 0)
    finally:
        os.close(descriptors[0])
