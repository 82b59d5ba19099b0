"""Snapshots as files: read out and taken in piece by piece, from and for any event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
    from typing import Any

    from jupyter_remote_kernels.control.plane import ControlPlane
    from jupyter_remote_kernels.protocol.state_stream import Buffer
    from jupyter_remote_kernels.snapshots.manifest import Manifest

    Take = Callable[[AsyncIterator[Buffer]], Coroutine[Any, Any, Manifest]]

# Whoever sends waits for the store after so many pieces.
_PIECES_AHEAD = 2


async def read_pieces(
    plane: ControlPlane, pieces: AsyncGenerator[Buffer, None]
) -> AsyncGenerator[Buffer, None]:
    """Iterate on one loop over what another one makes.

    Parameters
    ----------
    plane : ControlPlane
        On whose loop it is made.
    pieces : asynchronous generator of bytes-like
        It is asked for the next piece only when that is wanted.
    """
    try:
        while True:
            piece = await plane.run(_next(pieces))
            if piece is None:
                return
            yield piece
    finally:
        await plane.run(pieces.aclose())


async def _next(pieces: AsyncIterator[Buffer]) -> Buffer | None:
    return await anext(pieces, None)


class Upload:
    """A snapshot's file on its way in. Made and used on the control plane's loop.

    Parameters
    ----------
    take : callable
        Takes the pieces as an asynchronous iterator, and returns the snapshot.
    """

    def __init__(self, take: Take) -> None:
        self._pieces: asyncio.Queue[Buffer | None] = asyncio.Queue(_PIECES_AHEAD)
        self._taking = asyncio.get_running_loop().create_task(take(self._read()))

    async def feed(self, data: Buffer | None) -> bool:
        """Give the next piece, or None at the end; waits while the store is behind.

        Returns
        -------
        bool
            False when no more is wanted, because something is wrong; :meth:`finish` says what.
        """
        giving = asyncio.get_running_loop().create_task(self._pieces.put(data))
        await asyncio.wait({giving, self._taking}, return_when=asyncio.FIRST_COMPLETED)
        if not giving.done():
            giving.cancel()
        return not self._taking.done()

    async def finish(self) -> Manifest:
        """Return the snapshot, when everything was given.

        Raises
        ------
        InvalidInput, SnapshotError, StoreError
            When it cannot be taken; nothing of it is left then.
        """
        await self.feed(None)
        return await self._taking

    async def cancel(self) -> None:
        """Leave nothing behind; does nothing when it is over."""
        self._taking.cancel()
        await asyncio.wait({self._taking})
        if not self._taking.cancelled():
            self._taking.exception()  # somebody has asked for it, and is gone

    async def _read(self) -> AsyncGenerator[Buffer, None]:
        while (piece := await self._pieces.get()) is not None:
            yield piece
