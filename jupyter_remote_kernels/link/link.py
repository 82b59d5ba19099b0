"""The link: keeps one agent connected to one bridge, for as long as the runtime lives."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_remote_kernels.errors import InvalidInput, LinkRefused, RemoteKernelsError
from jupyter_remote_kernels.link.channels import Channels, PlainChannels, ResumableChannels
from jupyter_remote_kernels.model.endpoints import Endpoint
from jupyter_remote_kernels.protocol.frames import AGENT_CHANNEL, Buffer, decode
from jupyter_remote_kernels.protocol.messages import unpack
from jupyter_remote_kernels.protocol.resumable import SUBPROTOCOL as RESUMABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_remote_kernels.link.agent_client import AgentClient
    from jupyter_remote_kernels.link.bridge import Bridge
    from jupyter_remote_kernels.link.position import LinkPosition
    from jupyter_remote_kernels.link.websocket import Websocket

_log = logging.getLogger(__name__)
_BACKOFF_FIRST_S = 0.05
_BACKOFF_LAST_S = 5.0
_CANCEL_AGAIN_S = 0.1
_TELL_REPLAY_S = 0.5
_GOODBYE, _BACK_SOON, _NOT_UNDERSTOOD = 1000, 1001, 1007

FindEndpoint = Callable[[], Awaitable[Endpoint]]


@dataclass
class ConnectionState:
    """What a user may want to know about a link that is not simply there.

    Attributes
    ----------
    attempt : int
        How many attempts have failed since the connection was lost.
    next_try_s : float or None
        When the next one is due, seconds since the epoch.
    message : str
        Why the last one has failed.
    replay_done, replay_total : int
        Messages that were missed and have come since, and how many were missed.
    """

    attempt: int = 0
    next_try_s: float | None = None
    message: str = ""
    replay_done: int = 0
    replay_total: int = 0


class LinkListener(Protocol):
    """Who is told about the link: the runtime's driver."""

    def link_open(self) -> None:
        """The agent is connected, whatever its kernel does."""

    def link_ready(self, kernel_info: Mapping[str, Any]) -> None:
        """The kernel answers through the link."""

    def link_lost(self, message: str) -> None:
        """The agent cannot be reached; it may be fine. Called after each attempt."""

    def link_refused(self, message: str) -> None:
        """The agent does not accept us; trying again is useless."""

    def link_replays(self) -> None:
        """More of what was missed has come."""

    def kernel_exited(self, cause: Mapping[str, Any]) -> None:
        """The agent says that its kernel is gone."""

    def kernel_measured(self, metrics: Mapping[str, Any]) -> None:
        """The agent measured CPU and memory."""

    def lease_told(self, lease: Mapping[str, Any]) -> None:
        """The agent says how much of its reservation is left, maybe as a warning."""

    def output_held(self, message: str | None) -> None:
        """Output waits in the kernel because the agent has no room for it; None is over."""

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
    position : LinkPosition
        How far an earlier process has come; closed with the link.
    find : callable, optional
        Asked where the agent is, before each attempt for which that is not fresh.
    """

    def __init__(
        self,
        client: AgentClient,
        bridge: Bridge,
        listener: LinkListener,
        position: LinkPosition,
        find: FindEndpoint | None = None,
    ) -> None:
        self.client = client
        self.state = ConnectionState()
        self._bridge = bridge
        self._listener = listener
        self._position = position
        self._find = find
        self._session = ResumableChannels(position)
        # A process before us has had this session: what it knew, the agent has to tell.
        self._is_heir = position.finished > 0 or position.delivered > 0
        self._delivered = position.delivered
        self._channels: Channels | None = None
        self._websocket: Websocket | None = None
        self._kernel_info: dict[str, Any] | None = None
        self._early: list[Buffer] = []
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._was_open = False
        self._told_s = 0.0

    def open(self) -> None:
        """Begin to connect; results are told to the listener."""
        self._task = asyncio.get_running_loop().create_task(self._keep_connected())

    async def close(self, *, for_good: bool = True) -> None:
        """Disconnect.

        Parameters
        ----------
        for_good : bool
            Whether the agent may forget what it keeps for us; else somebody will be back.
        """
        while self._task is not None and not self._task.done():
            self._task.cancel()
            # asyncio before 3.12 loses a cancellation that meets the end of what it waits for
            # (python/cpython#86296): then it is cancelled again.
            await asyncio.wait({self._task}, timeout=_CANCEL_AGAIN_S)
        self._session.disconnect()
        if self._websocket is not None:
            self._websocket.close(_GOODBYE if for_good else _BACK_SOON)
        self._websocket = self._channels = None
        self._bridge.detach(kernel_gone=False)
        self._position.close()
        self.client.close()

    async def interrupt(self) -> None:
        """Interrupt the kernel; over a lost connection as soon as there is one again."""
        if self._channels is None or self._channels is self._session:
            self._session.order("interrupt")
        else:
            await self.client.interrupt()

    async def _keep_connected(self) -> None:
        delay_s = _BACKOFF_FIRST_S
        while True:
            try:
                await self._connect()
            except RemoteKernelsError as error:
                # Once it had accepted us, or the process before us, a refusal comes from somebody
                # else at its address.
                is_known = self._was_open or self._is_heir
                if isinstance(error, LinkRefused) and not is_known:
                    self._listener.link_refused(error.message)
                    return
                # Many links of one server must not knock all at the same moment.
                pause_s = delay_s * random.uniform(0.5, 1.0)  # noqa: S311
                delay_s = min(delay_s * 2, _BACKOFF_LAST_S)
                await self._wait(pause_s, error.message)
                continue
            await self._over.wait()
            was_ready = self.state.attempt == 0
            self._disconnect()
            # Else it was accepted, and cut before the agent had said a word.
            delay_s = _BACKOFF_FIRST_S if was_ready else min(delay_s * 2, _BACKOFF_LAST_S)
            pause_s = delay_s * random.uniform(0.0, 1.0)  # noqa: S311
            await self._wait(pause_s, "the connection to the agent was lost")

    async def _wait(self, pause_s: float, message: str) -> None:
        self.state.attempt += 1
        self.state.next_try_s = time.time() + pause_s
        self.state.message = message
        self._listener.link_lost(message)
        await asyncio.sleep(pause_s)
        self.state.next_try_s = None

    async def _connect(self) -> None:
        is_known = self.client.endpoint is not None and not self.state.attempt
        if self._find is not None and not is_known:
            self.client.endpoint = await self._find()
        self._over = asyncio.Event()
        self._early = []
        name = self._position.session.hex()
        websocket = await self.client.open_channels(name, self._receive)
        self._websocket = websocket
        if websocket.subprotocol == RESUMABLE:
            self._channels = self._session
            self._session.connect(websocket)
        else:
            self._channels = PlainChannels(websocket)
            self._begin()
        early, self._early = self._early, []
        for data in early:
            self._receive(data)

    def _disconnect(self) -> None:
        websocket, self._websocket = self._websocket, None
        self._channels = None
        self._session.disconnect()
        self._bridge.detach(kernel_gone=False)
        if websocket is not None and websocket.close_code == _NOT_UNDERSTOOD:
            # The agent has another memory of this session than we: there is no way on with it.
            self._position.forget()
            self._bridge.journal.renumber()
            self._session = ResumableChannels(self._position)
            self._is_heir, self._delivered = False, 0

    def _begin(self) -> None:
        """The other end has spoken: the connection is one."""
        is_back, self._was_open = self._was_open or self._is_heir, True
        self.state.attempt, self.state.message = 0, ""
        self._listener.link_open()
        if self._channels is not self._session:
            return
        details = self._session.details
        if details.get("is_new"):
            # Another agent than the one whose messages an earlier process has passed on.
            self._delivered = 0
        missed = int(details.get("waiting") or 0) if is_back else 0
        self.state.replay_done, self.state.replay_total = 0, missed
        if self._is_heir and details.get("kernel_info"):
            self._kernel_info = dict(details["kernel_info"])
            self._bridge.activity.execution_state = str(details.get("execution_state", "idle"))
        self._is_heir = False
        if self._kernel_info is not None:
            self._bridge.attach(self._session, self._kernel_info)
            self._listener.link_ready(self._kernel_info)
        self._listener.output_held(details.get("output_held"))

    def _receive(self, data: Buffer | None) -> None:
        if data is None:
            self._over.set()
            return
        if self._channels is None:
            # The agent may speak in the same packet that accepts the connection.
            self._early.append(data)
            return
        try:
            if self._channels is self._session:
                self._take_frame(data)
            else:
                self._take(memoryview(data), 0)
        except InvalidInput:
            # An agent that sends what nobody understands cannot be trusted with more.
            if self._websocket is not None:
                self._websocket.close(_BACK_SOON)
            self._over.set()

    def _take_frame(self, data: Buffer) -> None:
        was_ready = self._session.is_ready
        messages = self._session.receive(data)
        if not was_ready:
            self._begin()
        for number, message in messages:
            try:
                self._take(message, number)
            except InvalidInput as error:
                # It would come again and again if it ended the connection.
                _log.warning("a message of an agent is not understood: %s", error)
        if messages:
            self._position.delivered = messages[-1][0]
        self._session.settle(self._bridge.flush)
        if messages and self.state.replay_done < self.state.replay_total:
            self._count_replay(len(messages))

    def _count_replay(self, count: int) -> None:
        state, now_s = self.state, time.monotonic()
        state.replay_done = min(state.replay_done + count, state.replay_total)
        if state.replay_done == state.replay_total or now_s - self._told_s > _TELL_REPLAY_S:
            self._told_s = now_s
            self._listener.link_replays()

    def _take(self, message: memoryview, number: int) -> None:
        channel, parts = decode(message)
        is_known = 0 < number <= self._delivered
        if channel == AGENT_CHANNEL:
            event = unpack(parts[0])
            if not (is_known and self._is_outdated(event.get("event"))):
                self._handle_event(event)
        elif len(parts) >= 4:
            self._bridge.receive(channel, parts, message, number, is_known=is_known)

    def _is_outdated(self, name: Any) -> bool:
        """Tell whether an event of an earlier process's time contradicts how things are now."""
        # When we came, the agent said whether its kernel answers: one that did before may be dead
        # by now, and one that had died may have a successor.
        if name == "kernel_ready":
            return True
        return self._kernel_info is not None and name in ("kernel_starting", "kernel_exited")

    def _handle_event(self, event: dict[str, Any]) -> None:
        name = event.get("event")
        if name == "kernel_ready" and self._channels is not None:
            self._kernel_info = dict(event.get("kernel_info") or {})
            self._bridge.attach(self._channels, self._kernel_info)
            self._listener.link_ready(self._kernel_info)
        elif name == "kernel_starting":
            self._kernel_info = None
            self._bridge.detach(kernel_gone=False)
            self._bridge.expect_kernel()
        elif name == "kernel_exited":
            self._kernel_info = None
            self._bridge.detach(kernel_gone=True)
            self._listener.kernel_exited(event.get("exit") or {})
        elif name == "metrics":
            self._listener.kernel_measured(event)
        elif name == "lease":
            self._listener.lease_told(event)
        elif name == "output_held":
            self._listener.output_held(event.get("message"))
        elif name == "agent_ending":
            self._listener.agent_ending(event.get("exit") or {})
