"""Calls of a kernel of this machine that has no agent: an ordinary one, kept by Jupyter itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import AgentError, StateError
from jupyter_remote_kernels.exchange.call import call_kernel, encode_command
from jupyter_remote_kernels.exchange.host import KernelHost

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    import zmq

    from jupyter_remote_kernels.exchange.call import StateCall
    from jupyter_remote_kernels.exchange.turns import Turns
    from jupyter_remote_kernels.protocol.frames import Buffer

# Told apart from people's own requests by whoever looks at the messages.
SESSION = "remote-kernels-state"
_ROOM_BYTES = 1 << 20
_LOOK_S = 1.0


@dataclass(frozen=True)
class LocalKernel:
    """An ordinary kernel.

    Attributes
    ----------
    id : str
        Jupyter's id of it.
    shell_url : str
        Where it takes requests.
    key : str
        What its messages are signed with.
    pid : int
        Its process.
    curve : tuple of bytes or None
        Public and secret key of its sockets, where they are encrypted.
    """

    id: str
    shell_url: str
    key: str = field(repr=False)
    pid: int
    curve: tuple[bytes, bytes] | None = field(default=None, repr=False)


class LocalHost(KernelHost):
    """An ordinary kernel as a call sees it.

    Parameters
    ----------
    kernel : LocalKernel
        Which.
    context : zmq.Context
        For the sockets.
    directory : str
        The owner's alone; for the call's files.
    """

    def __init__(
        self, kernel: LocalKernel, context: zmq.Context[zmq.Socket[bytes]], directory: str
    ) -> None:
        self._pid = kernel.pid
        self._directory = directory
        self.context = context
        self.shell_url = kernel.shell_url
        self.key = kernel.key
        self.session = SESSION
        self.curve = kernel.curve
        self.info = None

    def new_path(self) -> str:
        """Return a new path in the call's directory."""
        return os.path.join(self._directory, secrets.token_hex(4))

    async def wait_exited(self) -> None:
        """Return when the process has ended."""
        try:
            descriptor = os.pidfd_open(self._pid)
        except ProcessLookupError:
            return
        except (AttributeError, OSError):  # a system that cannot tell by itself
            while self._is_there():  # noqa: ASYNC110 - nobody could set an event
                await asyncio.sleep(_LOOK_S)
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def interrupt(self) -> bool:
        """Interrupt the process alone."""
        try:
            os.kill(self._pid, signal.SIGINT)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def explain_exit(self) -> AgentError:
        """Return that the process has ended; Jupyter knows why."""
        return AgentError(
            "the kernel has ended or was restarted",
            reason="kernel_died",
            hint="Its variables are gone; see the server's log.",
        )

    def _is_there(self) -> bool:
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class LocalCalls:
    """The calls of one ordinary kernel; the same operations as an agent offers.

    Parameters
    ----------
    kernel : LocalKernel
        Which.
    context : zmq.Context
        For the sockets.
    turns : Turns
        The kernel's; shared by all who call it.
    """

    def __init__(
        self, kernel: LocalKernel, context: zmq.Context[zmq.Socket[bytes]], turns: Turns
    ) -> None:
        self._kernel = kernel
        self._context = context
        self._turns = turns

    async def describe(self) -> dict[str, Any]:
        """Return what another kernel has to know of this one before it sends something."""
        return await self._ask("describe")

    async def variables(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Return what the kernel's variables are; waits until the kernel has time for that."""
        return await self._ask("variables", names=None if names is None else list(names))

    async def plan(
        self, names: Sequence[str] | None = None, target: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what a capture would carry; waits until the kernel has time for that."""
        chosen = None if names is None else list(names)
        told = None if target is None else dict(target)
        return await self._ask("plan", names=chosen, target=told)

    async def capture(self, body: Buffer) -> AsyncGenerator[memoryview, None]:
        """Read the kernel's state; waits until the kernel has time for that.

        Parameters
        ----------
        body : bytes-like
            The command as a record, and the digests that are known already.

        Yields
        ------
        memoryview
            The state stream as it comes; of use until the next piece is asked for. Whoever stops
            asking cancels.

        Raises
        ------
        StateError
            When the kernel ends, which may be in the middle.
        Conflict
            When its state is being read or written already.
        NotSupported
            When it is no kernel of which that can be had.
        """
        room = memoryview(bytearray(_ROOM_BYTES))
        async with self._call() as call:
            await call.send(body)
            await call.send(encode_command("go"))
            while size := await call.receive_into(room):
                yield room[:size].toreadonly()
            await call.finish()

    async def restore(self, body: AsyncIterator[Buffer]) -> dict[str, Any]:
        """Write the kernel's state; waits until the kernel has time for that.

        Parameters
        ----------
        body : asynchronous iterator of bytes-like
            The command as a record, then a state stream. What it raises cancels.

        Returns
        -------
        dict
            What was restored, and what was lost and why.

        Raises
        ------
        StateError, Conflict, NotSupported
            As for :meth:`capture`.
        """
        async with self._call() as call:
            await call.feed(body)
            return await call.receive_answer()

    async def _ask(self, operation: str, **details: Any) -> dict[str, Any]:
        async with self._call(is_question=True) as call:
            await call.send(encode_command(operation, **details))
            return await call.receive_answer()

    @contextlib.asynccontextmanager
    async def _call(self, *, is_question: bool = False) -> AsyncIterator[StateCall]:
        is_over = asyncio.Event()
        async with self._turns.take(is_over.is_set, is_question=is_question):
            # Short on every system, and the owner's alone.
            with tempfile.TemporaryDirectory(prefix="jrk-") as directory:
                try:
                    call = await call_kernel(LocalHost(self._kernel, self._context, directory))
                    try:
                        yield call
                    finally:
                        is_over.set()
                        await call.close()
                except AgentError as error:
                    # There is no agent here of which to speak.
                    raise StateError(error.message, reason=error.reason, hint=error.hint) from error
