"""The link: keeps one agent connected to one bridge, for as long as the runtime lives."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_remote_kernels.errors import InvalidInput, LinkRefused, LinkUnavailable
from jupyter_remote_kernels.protocol.frames import AGENT_CHANNEL, Buffer, decode
from jupyter_remote_kernels.protocol.messages import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.link.agent_client import AgentClient, Channels
    from jupyter_remote_kernels.link.bridge import Bridge

_BACKOFF_FIRST_S = 0.05
_BACKOFF_LAST_S = 5.0
_CANCEL_AGAIN_S = 0.1


class LinkListener(Protocol):
    """Who is told about the link: the runtime's driver."""

    def link_ready(self, kernel_info: Mapping[str, Any]) -> None:
        """The kernel answers through the link."""

    def link_lost(self, message: str) -> None:
        """The agent cannot be reached; it may be fine."""

    def link_refused(self, message: str) -> None:
        """The agent does not accept us; trying again is useless."""

    def kernel_exited(self, cause: Mapping[str, Any]) -> None:
        """The agent says that its kernel is gone."""

    def kernel_measured(self, metrics: Mapping[str, Any]) -> None:
        """The agent measured CPU and memory."""

    def lease_told(self, lease: Mapping[str, Any]) -> None:
        """The agent says how much of its reservation is left, maybe as a warning."""

    def agent_ending(self, cause: Mapping[str, Any]) -> None:
        """The agent ends, and its kernel with it; says why."""


class Link:
    """Connects, reconnects without a limit, and feeds the bridge.

    Parameters
    ----------
    client : AgentClient
        The agent; closed with the link.
    bridge : Bridge
        The local side; not closed with the link.
    listener : LinkListener
        Told about every change, on the loop.
    """

    def __init__(self, client: AgentClient, bridge: Bridge, listener: LinkListener) -> None:
        self.client = client
        self._bridge = bridge
        self._listener = listener
        self._session = uuid.uuid4().hex
        self._channels: Channels | None = None
        self._early: list[Buffer] = []
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._was_open = False

    def open(self) -> None:
        """Begin to connect; results are told to the listener."""
        self._task = asyncio.get_running_loop().create_task(self._keep_connected())

    async def close(self) -> None:
        """Disconnect for good."""
        while self._task is not None and not self._task.done():
            self._task.cancel()
            # asyncio before 3.12 loses a cancellation that meets the end of what it waits for
            # (python/cpython#86296): then it is cancelled again.
            await asyncio.wait({self._task}, timeout=_CANCEL_AGAIN_S)
        if self._channels is not None:
            self._channels.close()
            self._channels = None
        self._bridge.detach(kernel_gone=False)
        self.client.close()

    async def _keep_connected(self) -> None:
        delay_s = _BACKOFF_FIRST_S
        while True:
            self._over = asyncio.Event()
            self._early = []
            try:
                self._channels = await self.client.open_channels(self._session, self._receive)
            except (LinkRefused, LinkUnavailable) as error:
                # Once it had accepted us, a refusal comes from somebody else at its address.
                if isinstance(error, LinkRefused) and not self._was_open:
                    self._listener.link_refused(error.message)
                    return
                self._listener.link_lost(error.message)
                # Many links of one server must not knock all at the same moment.
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311
                delay_s = min(delay_s * 2, _BACKOFF_LAST_S)
                continue
            self._was_open = True
            delay_s = _BACKOFF_FIRST_S
            early, self._early = self._early, []
            for data in early:
                self._receive(data)
            await self._over.wait()
            self._channels = None
            self._bridge.detach(kernel_gone=False)
            self._listener.link_lost("the connection to the agent was lost")

    def _receive(self, data: Buffer | None) -> None:
        if data is None:
            self._over.set()
            return
        if self._channels is None:
            # The agent may speak in the same packet that accepts the connection.
            self._early.append(data)
            return
        try:
            channel, parts = decode(data)
            if channel == AGENT_CHANNEL:
                self._handle_event(unpack(parts[0]))
            elif len(parts) >= 4:
                self._bridge.receive(channel, parts, data)
        except InvalidInput:
            # An agent that sends what nobody understands cannot be trusted with more.
            if self._channels is not None:
                self._channels.close()
                self._over.set()

    def _handle_event(self, event: dict[str, Any]) -> None:
        name = event.get("event")
        if name == "kernel_ready" and self._channels is not None:
            info = event.get("kernel_info") or {}
            self._bridge.attach(self._channels, info)
            self._listener.link_ready(info)
        elif name == "kernel_starting":
            self._bridge.detach(kernel_gone=False)
            self._bridge.expect_kernel()
        elif name == "kernel_exited":
            self._bridge.detach(kernel_gone=True)
            self._listener.kernel_exited(event.get("exit") or {})
        elif name == "metrics":
            self._listener.kernel_measured(event)
        elif name == "lease":
            self._listener.lease_told(event)
        elif name == "agent_ending":
            self._listener.agent_ending(event.get("exit") or {})
