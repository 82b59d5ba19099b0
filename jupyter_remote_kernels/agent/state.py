"""Reading and writing the kernel's state: one call at a time, and nobody's request in between."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Callable

from jupyter_remote_kernels.agent.state_host import AgentHost
from jupyter_remote_kernels.exchange.call import call_kernel
from jupyter_remote_kernels.exchange.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from jupyter_remote_kernels.agent.session import AgentSession
    from jupyter_remote_kernels.exchange.call import StateCall

_LAST_WORDS_S = 0.5


class StateCalls:
    """The calls of one agent.

    Parameters
    ----------
    session : AgentSession
        Whose kernel.
    """

    def __init__(self, session: AgentSession) -> None:
        self._session = session
        self._turns = Turns()
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def call(
        self, is_gone: Callable[[], bool], *, is_question: bool = False
    ) -> AsyncIterator[StateCall]:
        """Have the kernel in a call, as soon as it is done with what it runs.

        Parameters
        ----------
        is_gone : callable
            Tells whether nobody wants it any more.
        is_question : bool, optional
            Whether the state is neither read nor written; see :class:`Turns`.

        Raises
        ------
        Conflict
            When the state is being read or written already, or no kernel is running.
        """
        is_over = asyncio.Event()
        async with self._turns.take(lambda: is_over.is_set() or is_gone(), is_question=is_question):
            try:
                call = await call_kernel(AgentHost(self._session))
                try:
                    self._session.kernel.is_occupied = True
                    yield call
                finally:
                    is_over.set()
                    await call.close()
            finally:
                self._release()

    @property
    def is_on(self) -> bool:
        """Whether somebody has the kernel in a call, or waits for it."""
        return self._turns.is_taken

    async def wait_free(self) -> None:
        """Wait until nobody has the kernel in a call."""
        await self._turns.wait_free()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start what serves one request; it is kept until it ends."""
        task = self._session.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End all calls, since the kernel is gone; whoever asked is told so."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_WORDS_S)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _release(self) -> None:
        self._session.kernel.is_occupied = False
        for client in self._session.audience:
            client.release_shell()
