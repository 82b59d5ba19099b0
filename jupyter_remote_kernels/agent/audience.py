"""Who is connected to the agent: clients, those that come back, and whether anybody is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_remote_kernels.agent.clients import ResumableClient


class Client(Protocol):
    """A client, as the session sees it."""

    @property
    def is_connected(self) -> bool:
        """Whether it is there now; one that comes back may be away."""

    def reconnect(self) -> None:
        """Connect to the kernel's new generation."""

    def disconnect(self) -> None:
        """Let go of the kernel that is gone."""

    def release_shell(self) -> None:
        """Pass on the requests that were held while the kernel was occupied."""

    def report(self, event: dict[str, Any]) -> None:
        """Send an event on the agent's own channel, to a client that asked for them."""

    def close(self) -> None:
        """Close the connection, and forget what waits for it."""


class Audience:
    """All clients of one agent.

    Parameters
    ----------
    on_presence : callable
        Called with whether anybody is connected, whenever that may have changed.
    """

    def __init__(self, on_presence: Callable[[bool], None]) -> None:
        self._on_presence = on_presence
        self._clients: set[Client] = set()
        self._returning: dict[bytes, ResumableClient] = {}

    def __iter__(self) -> Iterator[Client]:
        # A copy, because telling somebody may make another one go.
        return iter(list(self._clients))

    @property
    def is_present(self) -> bool:
        """Whether anybody is connected."""
        return any(client.is_connected for client in self._clients)

    def add(self, client: Client) -> None:
        """Take in a client."""
        self._clients.add(client)
        self.update()

    def remove(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)
        for session in [name for name, own in self._returning.items() if own is client]:
            del self._returning[session]
        self.update()

    def update(self) -> None:
        """Look again who is connected."""
        self._on_presence(self.is_present)

    def find(self, session: bytes) -> ResumableClient | None:
        """Return a client that has been here before."""
        return self._returning.get(session)

    def expect_back(self, session: bytes, client: ResumableClient) -> None:
        """Keep a client over its connections, under the name of its session.

        Others that are away are forgotten: they belong to an owner who has lost its memory,
        and would collect for ever.
        """
        for earlier in [own for own in self._returning.values() if not own.is_connected]:
            earlier.close()
            self.remove(earlier)
        self._returning[session] = client

    def broadcast(self, event: dict[str, Any]) -> None:
        """Send an event to every client that asked for them."""
        for client in self:
            client.report(event)
