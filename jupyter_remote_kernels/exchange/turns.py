"""Whose turn it is to have a kernel in a call: one at a time, and no two that move its state."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Callable

from jupyter_remote_kernels.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Turns:
    """The turns of one kernel.

    Whoever only asks something is waited for, so that a list that somebody looks at is never in
    the way of a pause. Whoever reads or writes the state is not: it may take minutes, and two that
    wait for each other's kernels would wait for ever.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._operations: list[Callable[[], bool]] = []

    @property
    def is_taken(self) -> bool:
        """Whether somebody has his turn."""
        return self._lock.locked()

    @contextlib.asynccontextmanager
    async def take(
        self, is_over: Callable[[], bool], *, is_question: bool = False
    ) -> AsyncIterator[None]:
        """Have one's turn, after all who came before.

        Parameters
        ----------
        is_over : callable
            Tells whether nobody wants it any more. Who comes then waits for its end, because he
            may be the one who has just given it up.
        is_question : bool, optional
            Whether the state is neither read nor written.

        Raises
        ------
        Conflict
            When another one that is no question is on, or waits for its turn.
        """
        if not all(other() for other in self._operations):
            raise Conflict(
                "the kernel's state is being read or written already",
                reason="state_busy",
                hint="Wait until that has ended, or cancel it.",
            )
        if not is_question:
            self._operations.append(is_over)
        try:
            async with self._lock:
                yield
        finally:
            if not is_question:
                self._operations.remove(is_over)

    async def wait_free(self) -> None:
        """Wait until nobody has his turn."""
        async with self._lock:
            pass
