"""Memory shared with a kernel of this machine: large chunks need no socket on their way here.

The kernel finds it by a socket without a file, over which it gets the memory itself, and then the
numbers of places that are free again. Only processes of this user are let in.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import secrets
import socket
import struct
import sys
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.state_stream import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# All that the writer of a snapshot has under way at most (snapshots/pipeline.py): with fewer, it
# would wait for chunks for which there is no place.
_PLACES = 16
_CREDENTIALS = struct.Struct("3i")


class MemoryWindow:
    """One window, for one capture. Made by :func:`open_window`, used on one loop."""

    def __init__(self) -> None:
        self.name = f"jrk-{secrets.token_hex(16)}"
        self._descriptor = os.memfd_create("jrk-window", os.MFD_CLOEXEC)
        try:
            # Taken here: a kernel whose memory is limited must not pay for it.
            os.posix_fallocate(self._descriptor, 0, _PLACES * CHUNK_BYTES)
            self._memory = memoryview(mmap.mmap(self._descriptor, 0)).toreadonly()
        except OSError:
            os.close(self._descriptor)
            raise
        self._lent: set[int] = set()
        self._connection: socket.socket | None = None

    def take(self, offset: int, size: int) -> memoryview:
        """Return a chunk that the kernel has put there; it is theirs until it is released.

        Parameters
        ----------
        offset, size : int
            Where it is, in bytes.

        Raises
        ------
        InvalidInput
            When no chunk can be there.
        """
        number, rest = divmod(offset, CHUNK_BYTES)
        if rest or not 0 <= number < _PLACES or not 0 < size <= CHUNK_BYTES:
            raise InvalidInput("There is no such place.", reason="bad_state_stream")
        if number in self._lent:
            raise InvalidInput("The place is in use.", reason="bad_state_stream")
        self._lent.add(number)
        return self._memory[offset : offset + size]

    def release(self, offset: int) -> None:
        """Let the kernel have a place again."""
        number = offset // CHUNK_BYTES
        self._lent.discard(number)
        if self._connection is not None:
            # It never has more of them to read than there are places, so that they always fit.
            with contextlib.suppress(OSError):
                self._connection.send(bytes([number]))

    async def serve(self, listener: socket.socket) -> None:
        """Wait for the kernel and give it the memory; nobody else gets it afterwards."""
        loop = asyncio.get_running_loop()
        while self._connection is None:
            connection, _ = await loop.sock_accept(listener)
            credentials = connection.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
            )
            if _CREDENTIALS.unpack(credentials)[1] != os.getuid():
                connection.close()
                continue
            connection.setblocking(False)
            self._connection = connection
        listener.close()
        with contextlib.suppress(OSError):  # it has gone again
            socket.send_fds(self._connection, [b"\0"], [self._descriptor])

    def close(self) -> None:
        """Let go of it; a kernel that waits for a place hears so."""
        os.close(self._descriptor)
        if self._connection is not None:
            self._connection.close()


@contextlib.asynccontextmanager
async def open_window(*, is_near: bool) -> AsyncIterator[MemoryWindow | None]:
    """Offer a window; None where there cannot be one, and then everything goes over the link.

    Parameters
    ----------
    is_near : bool
        Whether the kernel runs on this machine.
    """
    window = _make_window() if is_near and sys.platform == "linux" else None
    if window is None:
        yield None
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.setblocking(False)
        listener.bind(f"\0{window.name}")
        listener.listen()
        serving = asyncio.ensure_future(window.serve(listener))
        try:
            yield window
        finally:
            serving.cancel()
            await asyncio.wait({serving})
            window.close()


def _make_window() -> MemoryWindow | None:
    try:
        return MemoryWindow()
    except OSError:
        return None  # there is no memory to spare
