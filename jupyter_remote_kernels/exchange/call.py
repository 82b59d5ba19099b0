"""The seam between whoever wants a kernel's state and the kernel's language.

A kernel is in a *call*: bytes flow both ways while it is in it. What flows is the same for every
language: one command, then the records of the state stream. How they flow is the language's own.
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import AgentError, NotSupported
from jupyter_remote_kernels.exchange.shell import Shell, wait_first
from jupyter_remote_kernels.protocol.messages import unpack
from jupyter_remote_kernels.sockets import run_to_end, run_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from jupyter_remote_kernels.exchange.host import KernelHost
    from jupyter_remote_kernels.protocol.frames import Buffer

# What the kernel says it is -> the call's class. Imported when a kernel of it is called.
_CALLS = {
    ("implementation", "ipython"): "jupyter_remote_kernels.exchange.python.PythonCall",
    ("implementation", "IRkernel"): "jupyter_remote_kernels.exchange.r.RCall",
}
# How long a kernel that was told to stop gets before it is interrupted.
_CANCEL_S = 1.0


class StateCall(ABC):
    """One call; used once, for one operation.

    The command is ``variables``, ``plan``, ``capture`` or ``restore``; see the state stream.

    Parameters
    ----------
    host : KernelHost
        Whose kernel.
    """

    def __init__(self, host: KernelHost) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._exited = self._loop.create_task(host.wait_exited())
        self._token = secrets.token_hex(16)
        self._shell: Shell | None = None

    async def connect(self) -> None:
        """Have the kernel in the call, as soon as it is done with what it runs.

        Raises
        ------
        AgentError
            When it ends, or does not run our code.
        """
        self._shell = Shell(self._host)
        await self._enter(self._shell)

    @abstractmethod
    async def send(self, data: Buffer) -> bool:
        """Send to the kernel; returns when all of it was taken.

        Returns
        -------
        bool
            False when it takes no more: it has something to say, or has ended.
        """

    @abstractmethod
    async def receive_into(self, room: memoryview) -> int:
        """Fill the room with what there is, at least one byte; returns 0 at the end."""

    async def finish(self) -> None:
        """Wait until the kernel has returned from the call.

        Raises
        ------
        AgentError
            When it has ended instead.
        """
        if self._shell is not None:
            await wait_first(self._shell.reply, self._exited)
            if not self._shell.reply.done():
                raise self._host.explain_exit()

    async def close(self) -> None:
        """End the call; returns when the kernel is free for others again.

        Who calls it may be cancelled already, and once more now: a kernel that hangs must be
        interrupted all the same.
        """
        await run_to_end(self._close())

    async def _close(self) -> None:
        try:
            if self._hang_up() and self._shell is not None:
                await self._wait_returned(self._shell)
        finally:
            self._exited.cancel()
            if self._shell is not None:
                self._shell.close()

    async def feed(self, pieces: AsyncIterator[Buffer]) -> None:
        """Send what comes, until there is no more of it, or the kernel wants no more or has ended.

        Raises
        ------
        Exception
            What the pieces raise.
        """
        ended = asyncio.ensure_future(self.finish())
        try:
            await run_until(self._send_all(pieces), ended)
        finally:
            ended.cancel()
            # What the end was is for who asks for the answer.
            await asyncio.wait({ended})
            if not ended.cancelled():
                ended.exception()

    async def _send_all(self, pieces: AsyncIterator[Buffer]) -> None:
        async for piece in pieces:
            if not await self.send(piece):
                return

    async def receive(self, size: int) -> bytearray:
        """Receive so many bytes.

        Raises
        ------
        AgentError
            When the kernel ends the call before.
        """
        buffer = bytearray(size)
        with memoryview(buffer) as room:
            filled = 0
            while filled < size:
                count = await self.receive_into(room[filled:])
                if not count:
                    await self.finish()
                    raise AgentError("the kernel broke the call off", reason="state_failed")
                filled += count
        return buffer

    async def receive_answer(self) -> dict[str, Any]:
        """Return the one JSON record with which the kernel answers.

        Raises
        ------
        AgentError
            When it says that it failed, or ends instead.
        """
        # Only now: most kernels are never asked for their state, and all have to start fast.
        from jupyter_remote_kernels.protocol.state_stream import HEAD_BYTES, parse_head

        kind, size = parse_head(await self.receive(HEAD_BYTES))
        if kind != b"J":
            raise AgentError("the kernel answered something else", reason="state_failed")
        answer = unpack(await self.receive(size))
        await self.finish()
        if answer.get("type") == "error":
            raise AgentError(
                str(answer.get("message") or "the kernel could not do it"),
                reason=str(answer.get("reason") or "state_failed"),
                hint=str(answer.get("hint") or ""),
            )
        return answer

    # -- of each language -----------------------------------------------------

    @abstractmethod
    async def _enter(self, shell: Shell) -> None:
        """Make the kernel run our code; see :meth:`connect`."""

    @abstractmethod
    def _hang_up(self) -> bool:
        """Close this end of what bytes flow over; returns whether there was one."""

    # -- for each language ----------------------------------------------------

    async def _run(
        self,
        shell: Shell,
        code: str,
        entered: asyncio.Future[Any],
        expressions: Mapping[str, str] | None = None,
    ) -> None:
        """Run code in the kernel, until it is in the call, has returned, or has ended."""
        while True:
            shell.execute(code, expressions)
            await wait_first(entered, shell.reply, self._exited)
            if not shell.is_aborted:
                return  # a cell that fails takes along what waits behind it, but only once

    async def _wait_ready(self, descriptor: int, *, is_for_writing: bool) -> None:
        """Wait until something can be read or written, or the other end is closed."""
        ready = self._loop.create_future()
        add = self._loop.add_writer if is_for_writing else self._loop.add_reader
        remove = self._loop.remove_writer if is_for_writing else self._loop.remove_reader

        def tell() -> None:
            if not ready.done():
                ready.set_result(None)

        add(descriptor, tell)
        try:
            await ready
        finally:
            remove(descriptor)

    async def _wait_returned(self, shell: Shell) -> None:
        while not shell.reply.done() and not self._exited.done():
            await wait_first(shell.reply, self._exited, limit_s=_CANCEL_S)
            # It cannot hit a cell, since the call is not over.
            if shell.reply.done() or not self._host.interrupt():
                return


def explain_not_run() -> AgentError:
    """Return the error for a kernel that has done nothing of what it was sent."""
    return AgentError(
        "the kernel did not run the code that reads its state",
        reason="state_failed",
        hint="See the kernel's log.",
    )


async def call_kernel(host: KernelHost) -> StateCall:
    """Have a kernel in a call, whatever its language.

    Raises
    ------
    AgentError
        When it ends, or does not run our code.
    NotSupported
        When it is no kernel in which our code can run.
    """
    info = host.info if host.info is not None else await _ask_info(host)
    for (key, value), name in _CALLS.items():
        if info.get(key) == value:
            module, _, kind_name = name.rpartition(".")
            kind: type[StateCall] = getattr(importlib.import_module(module), kind_name)
            call = kind(host)
            try:
                await call.connect()
            except BaseException:  # whatever it was: nothing of it may stay in the kernel
                await call.close()
                raise
            return call
    raise NotSupported(
        "the state of this kernel cannot be read or written",
        reason="kernel_not_supported",
        hint="It works with kernels of IPython and R.",
    )


def encode_command(operation: str, **details: Any) -> bytes:
    """Return the record that tells the kernel what to do."""
    from jupyter_remote_kernels.protocol.state_stream import encode_json

    return encode_json({"op": operation, **details})


async def _ask_info(host: KernelHost) -> dict[str, Any]:
    exited = asyncio.ensure_future(host.wait_exited())
    shell = Shell(host)
    try:
        shell.request("kernel_info_request", {})
        await wait_first(shell.reply, exited)
        if not shell.reply.done():
            raise host.explain_exit()
        return shell.reply.result()
    finally:
        exited.cancel()
        shell.close()
