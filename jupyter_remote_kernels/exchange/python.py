"""One call of the capture code inside an IPython kernel, and the socket over which it is answered.

The code is sent as one silent request on a client of its own. The kernel connects to a Unix socket
here, shows the token, and then bytes flow both ways while its main thread is in the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import socket
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import AgentError
from jupyter_remote_kernels.exchange.call import StateCall, explain_not_run
from jupyter_remote_kernels.exchange.shell import wait_first

if TYPE_CHECKING:
    from jupyter_remote_kernels.exchange.host import KernelHost
    from jupyter_remote_kernels.exchange.shell import Shell
    from jupyter_remote_kernels.protocol.frames import Buffer

# A kernel that connects does so before it replies, but the two come over different sockets.
_LATE_S = 1.0
# As large as one piece, so that passing one on takes one turn of the loop where it may be.
_SOCKET_BUFFER_BYTES = 1 << 20
# Whatever goes wrong is for the kernel's log; nothing may appear in a notebook.
_GUARD = """
import sys
try:
{body}
except BaseException:
    import traceback
    traceback.print_exc(file=sys.__stderr__)
"""
_IS_FOUND = "__import__('importlib.util').util.find_spec('_jrk_state') is not None"
_PREPARE = "    exec({source!r}, {{}})\n"
# A call that was given up while it waited for its turn has no socket any more.
_CALL = """
    import importlib.util, os
    if importlib.util.find_spec("_jrk_state") and os.path.exists({address!r}):
        from _jrk_state import entry
        entry.serve({address!r}, {token!r})
"""


class PythonCall(StateCall):
    """One call over a Unix socket.

    Parameters
    ----------
    host : KernelHost
        Whose kernel.
    """

    def __init__(self, host: KernelHost) -> None:
        super().__init__(host)
        self._address = host.new_path()
        self._connection: socket.socket | None = None

    async def send(self, data: Buffer) -> bool:
        """Send to the kernel; see :meth:`StateCall.send`."""
        try:
            await self._loop.sock_sendall(self._socket(), data)
        except ConnectionError:
            return False
        return True

    async def receive_into(self, room: memoryview) -> int:
        """Fill the room; see :meth:`StateCall.receive_into`."""
        connection = self._socket()
        try:
            filled = size = await self._loop.sock_recv_into(connection, room)
            while size and filled < room.nbytes:
                # One read of a Unix socket gives what one write has put there.
                size = connection.recv_into(room[filled:])
                filled += size
        except BlockingIOError:
            pass
        except ConnectionError:
            return 0  # its end of the call says why
        return filled

    # -- inside ---------------------------------------------------------------

    async def _enter(self, shell: Shell) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.setblocking(False)
            listener.bind(self._address)
            listener.listen(1)
            accepting = self._loop.create_task(self._accept(listener))
            try:
                await self._start(shell, accepting)
            finally:
                accepting.cancel()
                await asyncio.wait({accepting})
                os.unlink(self._address)
                if self._connection is None and not accepting.cancelled():
                    # Called off in the moment in which the kernel came: it must hear of that.
                    _close_accepted(accepting)

    def _hang_up(self) -> bool:
        if self._connection is None:
            return False
        self._connection.close()
        return True

    async def _start(self, shell: Shell, accepting: asyncio.Task[socket.socket]) -> None:
        """Send the call, and again with all the code when the kernel does not have it yet."""
        call = _CALL.format(address=self._address, token=self._token)
        if await self._try(shell, _GUARD.format(body=call), accepting):
            return
        whole = _PREPARE.format(source=_source()) + call
        if not await self._try(shell, _GUARD.format(body=whole), accepting):
            raise explain_not_run()

    async def _try(self, shell: Shell, code: str, accepting: asyncio.Task[socket.socket]) -> bool:
        """Run code in the kernel; return whether it has connected."""
        # A namespace of its own: no name is left behind.
        line = f"__import__('builtins').exec({code!r}, {{}})"
        await self._run(shell, line, accepting, {"found": _IS_FOUND})
        if shell.reply.done() and not accepting.done() and "'True'" in str(shell.reply.result()):
            await wait_first(accepting, self._exited, limit_s=_LATE_S)
        if accepting.done():
            self._connection = accepting.result()
            return True
        if self._exited.done():
            raise self._host.explain_exit()
        return False

    async def _accept(self, listener: socket.socket) -> socket.socket:
        """Wait for the kernel, which shows the token; others are turned away."""
        expected = self._token.encode() + b"\n"
        while True:
            connection = await self._take_next(listener)
            is_known = False
            try:
                connection.setblocking(False)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)
                shown = await self._read_token(connection, len(expected))
                is_known = hmac.compare_digest(shown, expected)
            finally:
                # Whoever waits at the other end would wait for ever if this were left open.
                if not is_known:
                    connection.close()
            if is_known:
                return connection

    async def _take_next(self, listener: socket.socket) -> socket.socket:
        """Accept without a moment in between: asyncio's own forgets whom it has accepted.

        That is so when it is cancelled just then, and whoever came would wait for ever.
        """
        while True:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                return listener.accept()[0]
            await self._wait_ready(listener.fileno(), is_for_writing=False)

    async def _read_token(self, connection: socket.socket, size: int) -> bytes:
        shown = b""
        with contextlib.suppress(ConnectionError):
            while len(shown) < size:
                part = await self._loop.sock_recv(connection, size - len(shown))
                if not part:
                    break
                shown += part
        return shown

    def _socket(self) -> socket.socket:
        if self._connection is None:
            raise AgentError("the kernel is not in the call", reason="state_failed")
        return self._connection


def _close_accepted(accepting: asyncio.Task[socket.socket]) -> None:
    if accepting.exception() is None:
        accepting.result().close()


def _source() -> str:
    # Only now: most kernels are never asked for their state.
    from jupyter_remote_kernels.state.injection import make_source

    return make_source()
