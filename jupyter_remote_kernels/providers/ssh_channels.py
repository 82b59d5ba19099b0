"""What runs over one connection: tunnels, and commands as many as the server allows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import ProviderUnavailable

if TYPE_CHECKING:
    import asyncssh


class Tunnel:
    """A listening port of ours that leads through whatever connection there is."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self._port = 0
        self._listener: asyncssh.SSHListener | None = None
        self._connection: asyncssh.SSHClientConnection | None = None

    async def open(self, connection: asyncssh.SSHClientConnection, port: int) -> int:
        """Let it lead through this connection; returns our port."""
        if self._connection is connection and self._listener is not None:
            return self._port
        self.close()
        try:
            listener = await connection.forward_local_port(
                "127.0.0.1", self._port, "127.0.0.1", port
            )
        except OSError as error:
            if not self._port:
                raise ProviderUnavailable(f"no port can be opened here: {error}") from error
            # Somebody has taken it while the connection was away.
            listener = await connection.forward_local_port("127.0.0.1", 0, "127.0.0.1", port)
        self._listener, self._connection = listener, connection
        self._port = listener.get_port()
        return self._port

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None


class Slots:
    """How many commands run at once on one connection; learns what the server allows."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = asyncio.Condition()

    @property
    def is_used(self) -> bool:
        """Whether any command runs now."""
        return self._used > 0

    async def __aenter__(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._used < self._limit)
            self._used += 1

    async def __aexit__(self, *_: object) -> None:
        async with self._changed:
            self._used -= 1
            self._changed.notify()

    async def shrink(self) -> bool:
        """Take the server's refusal for a limit, and wait until another one has ended.

        Returns
        -------
        bool
            False when there is no other one.
        """
        async with self._changed:
            if self._used == 1:
                return False
            self._limit = max(1, self._used - 1)
            self._used -= 1
            self._changed.notify()
            try:
                await self._changed.wait_for(lambda: self._used < self._limit)
            finally:
                self._used += 1
            return True
