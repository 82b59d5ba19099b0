"""Requests to a kernel on a client of its own, beside all others'."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import zmq

from jupyter_remote_kernels.protocol.messages import Composer, unpack
from jupyter_remote_kernels.protocol.signing import DELIMITER, Signer
from jupyter_remote_kernels.sockets import Message, SocketPump

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.exchange.host import KernelHost


class Shell:
    """The shell channel of one kernel, for one request after the other.

    Parameters
    ----------
    host : KernelHost
        Whose kernel.

    Attributes
    ----------
    reply : asyncio.Future
        The content of the reply to the last request.
    """

    def __init__(self, host: KernelHost) -> None:
        self._loop = asyncio.get_running_loop()
        self._composer = Composer(f"{host.session}-{os.urandom(8).hex()}")
        self._signer = Signer(host.key.encode())
        self.reply: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        socket = host.context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        if host.curve is not None:
            # As jupyter_client does it: who has the server's own keys may come in.
            socket.curve_publickey, socket.curve_secretkey = host.curve
            socket.curve_serverkey = host.curve[0]
        socket.connect(host.shell_url)
        self._pump = SocketPump(socket, self._take_reply, self._loop)

    def request(self, msg_type: str, content: Mapping[str, Any]) -> None:
        """Ask something; nobody waits for an earlier reply any more."""
        self.reply = self._loop.create_future()
        parts = self._composer.compose(msg_type, content)
        self._pump.send([DELIMITER, self._signer.sign(parts), *parts])

    def execute(self, code: str, expressions: Mapping[str, str] | None = None) -> None:
        """Have code run that leaves no trace: no history, no output, no execution count.

        Parameters
        ----------
        code : str
            Runs in the user's namespace.
        expressions : mapping, optional
            Evaluated afterwards; the reply tells their values.
        """
        content = {
            "code": code,
            "silent": True,
            "store_history": False,
            "user_expressions": dict(expressions or {}),
            "allow_stdin": False,
            "stop_on_error": False,
        }
        self.request("execute_request", content)

    @property
    def is_aborted(self) -> bool:
        """Whether the reply says that it was not run: a cell that fails takes along what waits."""
        return self.reply.done() and self.reply.result().get("status") == "aborted"

    def close(self) -> None:
        """Close the channel; may be called twice."""
        self._pump.close()

    def _take_reply(self, message: Message) -> None:
        start = message.index(DELIMITER) + 2
        if not self.reply.done() and len(message) >= start + 4:
            self.reply.set_result(unpack(message[start + 3]))


async def wait_first(*futures: asyncio.Future[Any], limit_s: float | None = None) -> None:
    """Wait until one of them is done, or the time is over."""
    await asyncio.wait(set(futures), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
