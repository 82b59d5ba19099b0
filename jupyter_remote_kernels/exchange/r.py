"""Calls of R kernels, over a pair of named pipes: base R opens no Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hmac
import os
from typing import TYPE_CHECKING

from jupyter_remote_kernels.exchange.call import StateCall, explain_not_run
from jupyter_remote_kernels.exchange.r_source import make_r_call

if TYPE_CHECKING:
    from jupyter_remote_kernels.exchange.host import KernelHost
    from jupyter_remote_kernels.exchange.shell import Shell
    from jupyter_remote_kernels.protocol.frames import Buffer

_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", 1031)  # it has a name from Python 3.10 on


class RCall(StateCall):
    """One call over two named pipes.

    Parameters
    ----------
    host : KernelHost
        Whose kernel.
    """

    def __init__(self, host: KernelHost) -> None:
        super().__init__(host)
        self._to_kernel, self._from_kernel = host.new_path(), host.new_path()
        self._reader = self._writer = -1

    async def send(self, data: Buffer) -> bool:
        """Send to the kernel; see :meth:`StateCall.send`."""
        left = memoryview(data).cast("B")
        while left:
            try:
                left = left[os.write(self._writer, left) :]
            except BlockingIOError:
                await self._wait_ready(self._writer, is_for_writing=True)
            except BrokenPipeError:
                return False
        return True

    async def receive_into(self, room: memoryview) -> int:
        """Fill the room; see :meth:`StateCall.receive_into`."""
        while True:
            try:
                return os.readv(self._reader, [room])
            except BlockingIOError:
                await self._wait_ready(self._reader, is_for_writing=False)

    # -- inside ---------------------------------------------------------------

    async def _enter(self, shell: Shell) -> None:
        paths = (self._to_kernel, self._from_kernel)
        for path in paths:
            os.mkfifo(path, 0o600)
        try:
            # Open for both directions, so that neither side waits for the other to open its end.
            self._writer = os.open(self._to_kernel, os.O_RDWR | os.O_NONBLOCK)
            self._reader = os.open(self._from_kernel, os.O_RDONLY | os.O_NONBLOCK)
            for pipe in (self._writer, self._reader):
                with contextlib.suppress(OSError):  # the system may allow less
                    fcntl.fcntl(pipe, _SET_PIPE_SIZE, _PIPE_BYTES)
            await self._start(shell)
            # From now on the kernel's end alone keeps it open, so that its end is noticed.
            both, self._writer = (
                self._writer,
                os.open(self._to_kernel, os.O_WRONLY | os.O_NONBLOCK),
            )
            os.close(both)
        finally:
            for path in paths:
                os.unlink(path)

    def _hang_up(self) -> bool:
        was_open = self._reader >= 0
        for pipe in (self._reader, self._writer):
            if pipe >= 0:
                os.close(pipe)
        self._reader = self._writer = -1
        return was_open

    async def _start(self, shell: Shell) -> None:
        code = make_r_call(self._to_kernel, self._from_kernel, self._token)
        expected = self._token.encode() + b"\n"
        greeting = asyncio.ensure_future(self._read_greeting(len(expected)))
        try:
            await self._run(shell, code, greeting)
            if self._exited.done():
                raise self._host.explain_exit()
            if not greeting.done() or not hmac.compare_digest(bytes(greeting.result()), expected):
                raise explain_not_run()
        finally:
            greeting.cancel()

    async def _read_greeting(self, size: int) -> bytearray:
        # A pipe that nobody has opened yet looks as if it had ended, but nothing can be read.
        await self._wait_ready(self._reader, is_for_writing=False)
        return await self.receive(size)
