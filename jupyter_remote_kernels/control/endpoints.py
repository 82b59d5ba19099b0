"""Kernels of this server as what state comes from and goes to, whoever keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

from jupyter_remote_kernels.errors import LinkUnavailable
from jupyter_remote_kernels.exchange.local import LocalCalls
from jupyter_remote_kernels.exchange.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from jupyter_remote_kernels.control.driver import RuntimeDriver
    from jupyter_remote_kernels.exchange.local import LocalKernel
    from jupyter_remote_kernels.link.context import Context
    from jupyter_remote_kernels.protocol.frames import Buffer


class StateClient(Protocol):
    """What an agent's client and the calls of an ordinary kernel have in common."""

    async def describe(self) -> dict[str, Any]:
        """Return what another kernel has to know of this one before it sends something."""

    async def variables(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Return what the kernel's variables are."""

    async def plan(
        self, names: Sequence[str] | None = None, target: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what a capture would carry."""

    def capture(self, body: Buffer) -> AsyncGenerator[memoryview, None]:
        """Read the kernel's state; whoever stops asking cancels."""

    async def restore(self, body: AsyncIterator[Buffer]) -> dict[str, Any]:
        """Write the kernel's state; what the body raises cancels."""


@dataclass(frozen=True)
class StateEndpoint:
    """One kernel of this server.

    Attributes
    ----------
    id : str
        The kernel's id.
    connect : callable
        Returns whom to ask now. Raises ``Conflict`` when there is no kernel, and
        ``LinkUnavailable`` when it cannot be reached.
    """

    id: str
    connect: Callable[[], StateClient]


def runtime_endpoint(driver: RuntimeDriver) -> StateEndpoint:
    """Return the kernel of a runtime, which its agent is asked about."""

    def connect() -> StateClient:
        driver.pausing.work.check_running()
        if driver.link is None:
            raise LinkUnavailable("the agent is not connected")
        return driver.link.client

    return StateEndpoint(driver.record.id, connect)


class LocalEndpoints:
    """Ordinary kernels, which this process asks by itself.

    Parameters
    ----------
    context : zmq.Context
        For the sockets.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        # Kernels come and go; a kernel's turns are there as long as anybody has it as an endpoint.
        self._turns: WeakValueDictionary[str, Turns] = WeakValueDictionary()

    def make(self, kernel: LocalKernel) -> StateEndpoint:
        """Return one of them."""
        turns = self._turns.setdefault(kernel.id, Turns())
        calls = LocalCalls(kernel, self._context, turns)
        return StateEndpoint(kernel.id, lambda: calls)
