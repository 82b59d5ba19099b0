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
        self._descriptor = -1
        self._memory = memoryview(b"")
        self._lent: set[int] = set()
        self._connection: socket.socket | None = None

    def fill(self) -> None:
        """Take the memory, which needs milliseconds: in a thread, beside what comes first.

        Raises
        ------
        OSError
            When there is none to spare.
        """
        # Taken here: a kernel whose memory is limited must not pay for it.
        self._descriptor = os.memfd_create("jrk-window", os.MFD_CLOEXEC)
        os.posix_fallocate(self._descriptor, 0, _PLACES * CHUNK_BYTES)
        self._memory = memoryview(mmap.mmap(self._descriptor, 0)).toreadonly()

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
        is_place = not rest and 0 <= offset < self._memory.nbytes
        if not is_place or not 0 < size <= CHUNK_BYTES:
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

    async def serve(self, listener: socket.socket, filling: asyncio.Future[None]) -> None:
        """Wait for the kernel and give it the memory; nobody else gets it afterwards."""
        with listener:
            try:
                await asyncio.shield(filling)
            except OSError:
                return  # a kernel that has come already hears that it gets none
            self._connection = await _accept(listener)
        with contextlib.suppress(OSError):  # it has gone again
            socket.send_fds(self._connection, [b"\0"], [self._descriptor])

    def close(self) -> None:
        """Let go of it; a kernel that waits for a place hears so."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        if self._connection is not None:
            self._connection.close()


@contextlib.asynccontextmanager
async def open_window(*, is_near: bool) -> AsyncIterator[MemoryWindow | None]:
    """Offer a window; None where there cannot be one, and then everything goes over the link.

    A kernel that asks is refused when there is no memory for it, and sends everything, too.

    Parameters
    ----------
    is_near : bool
        Whether the kernel runs on this machine.
    """
    if not is_near or sys.platform != "linux":
        yield None
        return
    window = MemoryWindow()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.setblocking(False)
        listener.bind(f"\0{window.name}")
        listener.listen()
        filling = asyncio.ensure_future(asyncio.to_thread(window.fill))
        serving = asyncio.ensure_future(window.serve(listener, filling))
        try:
            yield window
        finally:
            serving.cancel()
            await asyncio.wait({serving, filling})
            filling.exception()  # nobody may have asked
            window.close()


async def _accept(listener: socket.socket) -> socket.socket:
    """Wait for a process of this user; others are turned away."""
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(listener)
        kind, size = socket.SO_PEERCRED, _CREDENTIALS.size
        if (
            _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, kind, size))[1]
            == os.getuid()
        ):
            connection.setblocking(False)
            return connection
        connection.close()
