"""Clients of the kernel: one that lasts as long as its websocket, and one that comes back."""

from __future__ import annotations

import abc
import signal
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_remote_kernels.agent.channels import KernelChannels
from jupyter_remote_kernels.agent.outbox import Outbox
from jupyter_remote_kernels.errors import Conflict, InvalidInput
from jupyter_remote_kernels.protocol.frames import AGENT_CHANNEL, decode
from jupyter_remote_kernels.protocol.messages import pack, unpack
from jupyter_remote_kernels.protocol.resumable import Endpoint
from jupyter_remote_kernels.spill import SpillingQueue

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from jupyter_remote_kernels.agent.session import AgentSession
    from jupyter_remote_kernels.protocol.frames import Buffer
    from jupyter_remote_kernels.sockets import Message

# What waits in memory for a client that reads, and for one that is away.
_PRESENT_BYTES = 32 * 1024 * 1024
_AWAY_BYTES = 8 * 1024 * 1024
_ACKNOWLEDGE_S = 0.2
# A link pings every few seconds; one that is silent for so long hangs on a dead connection.
_SILENT_S = 30.0
_LOOK_AGAIN_S = 5.0


class Connection(Protocol):
    """A websocket, as a client sees it."""

    heard_s: float

    def write_messages(self, messages: Sequence[Sequence[Buffer]]) -> None:
        """Write messages, each given as its parts."""

    def abort(self) -> None:
        """End it without waiting for anybody."""

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close it."""


class KernelClient(abc.ABC):
    """One client of the kernel.

    Parameters
    ----------
    session : AgentSession
        Whose kernel.
    wants_events : bool
        Whether it asked for the agent's events.
    """

    def __init__(self, session: AgentSession, wants_events: bool) -> None:
        self._session = session
        self._wants_events = wants_events
        self._channels: KernelChannels | None = None
        self._outbox = Outbox(session.loop, self._send)

    @property
    @abc.abstractmethod
    def is_connected(self) -> bool:
        """Whether it is there now."""

    @abc.abstractmethod
    def _send(self, messages: list[list[Buffer]]) -> None:
        """Send encoded messages, each given as its parts."""

    def reconnect(self) -> None:
        """Connect to the kernel's present generation."""
        self.disconnect()
        self._channels = KernelChannels(
            self._session.kernel,
            self._session.context,
            self._hear,
            lambda info: self._session.ready(self, info),
        )

    def disconnect(self) -> None:
        """Let go of the kernel."""
        if self._channels is not None:
            self._channels.close()
            self._channels = None

    def release_shell(self) -> None:
        """Pass on the requests that were held while the kernel was occupied."""
        if self._channels is not None:
            self._channels.release()

    def report(self, event: dict[str, Any]) -> None:
        """Send an event, when this client asked for them."""
        if self._wants_events:
            self._outbox.put(AGENT_CHANNEL, [pack(event)])

    def take(self, message: Buffer) -> None:
        """Take a message for the kernel, or for the agent itself.

        Raises
        ------
        InvalidInput
            When it cannot be understood.
        """
        channel, parts = decode(message)
        if channel == AGENT_CHANNEL and self._wants_events and parts:
            self._obey(unpack(parts[0]))
        elif self._channels is not None:
            self._channels.send(channel, parts)

    def close(self) -> None:
        """Forget everything."""
        self.disconnect()
        self._outbox.close()

    def _hear(self, channel: str, parts: Message) -> None:
        """Take a message of the kernel."""
        is_status = channel == "iopub" and b'"status"' in parts[0]
        if is_status and b'"execute_request"' in parts[1]:
            # For a link that comes without a memory: it has to know whether a cell runs.
            self._session.execution_state = str(unpack(parts[3]).get("execution_state"))
        self._outbox.put(channel, parts)

    def _obey(self, order: dict[str, Any]) -> None:
        # It comes this way to keep its place among the requests, over lost connections too.
        if order.get("action") != "interrupt":
            raise InvalidInput("no such action", reason="bad_action")
        try:
            self._session.signal_kernel(signal.SIGINT)
        except Conflict:
            return  # the kernel it was meant for is gone


class PlainClient(KernelClient):
    """Any Jupyter client: what it misses is gone with its connection."""

    def __init__(
        self, session: AgentSession, connection: Connection, *, wants_events: bool
    ) -> None:
        super().__init__(session, wants_events)
        self._connection = connection

    @property
    def is_connected(self) -> bool:
        """It is there until it is forgotten."""
        return True

    def close(self) -> None:
        """Close the connection."""
        self._outbox.flush()
        super().close()
        self._connection.close()

    def _send(self, messages: list[list[Buffer]]) -> None:
        self._connection.write_messages(messages)


class ResumableClient(KernelClient):
    """A link: what it misses waits here, in memory and then in files, until it is back.

    Parameters
    ----------
    session : AgentSession
        Whose kernel.
    name : bytes
        The name of the link's session, 16 bytes.
    wants_events : bool
        Whether it asked for the agent's events.
    """

    def __init__(self, session: AgentSession, name: bytes, *, wants_events: bool) -> None:
        super().__init__(session, wants_events)
        self._queue = SpillingQueue(session.settings.directory, _AWAY_BYTES)
        self._endpoint = Endpoint(name, self._queue)
        self._connection: Connection | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_held = False
        self._is_new = True

    @property
    def is_connected(self) -> bool:
        """Whether its link is here."""
        return self._connection is not None

    def attach(self, connection: Connection) -> None:
        """Go on over another connection; the link greets first."""
        if self._connection is not None:
            self._connection.abort()  # half-open: its other end has come back already
        self._connection = connection
        self._endpoint.disconnect()
        self._look_for_silence()

    def lose(self, connection: Connection) -> None:
        """Collect until it is back. Called for every connection that ends."""
        if connection is self._connection:
            self._connection = None
            self._endpoint.disconnect()
            self._queue.limit_bytes = _AWAY_BYTES
            self._stop_timers()
            self._session.audience.update()

    def receive(self, connection: Connection, frame: Buffer) -> None:
        """Take a frame from its connection.

        Raises
        ------
        InvalidInput
            When the connection cannot go on; the next one makes it good.
        """
        if connection is not self._connection:
            return
        was_ready = self._endpoint.is_ready
        messages = self._endpoint.receive(frame)
        for _, message in messages:
            self._take_or_ignore(message)
        self._endpoint.finish()
        if self._endpoint.is_ready and not was_ready:
            self._queue.limit_bytes = _PRESENT_BYTES
            details = {
                **self._session.describe_kernel(),
                "waiting": self._endpoint.sender.waiting,
                "is_new": self._is_new,
            }
            self._is_new = False
            connection.write_messages([[self._endpoint.greet(details)]])
        if not messages:
            self._flush()  # maybe the link has room for more now
        self._acknowledge_soon()

    def reconnect(self) -> None:
        """Connect to the kernel's present generation."""
        super().reconnect()
        self._is_held = False

    def close(self) -> None:
        """Say the last words if anybody is there, then forget everything."""
        self._outbox.flush()
        super().close()
        self._stop_timers()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._queue.close()

    def _take_or_ignore(self, message: Buffer) -> None:
        # One that cannot be understood would come again and again if it ended the connection.
        try:
            self.take(message)
        except InvalidInput as error:
            self.report({"event": "message_refused", "reason": error.reason})

    def _send(self, messages: list[list[Buffer]]) -> None:
        for message in messages:
            try:
                self._endpoint.send(message)
            except OSError as error:
                self._hold(error)
        self._flush()

    def _flush(self) -> None:
        """Write what the window allows."""
        if self._connection is not None:
            frames = list(self._endpoint.outgoing())
            if frames:
                self._connection.write_messages(frames)
        if self._is_held and self._queue.memory_bytes < _AWAY_BYTES:
            self._release()

    def _acknowledge_soon(self) -> None:
        if self._endpoint.is_acknowledgement_due:
            self._acknowledge()
        elif "acknowledge" not in self._timers:
            self._timers["acknowledge"] = self._session.loop.call_later(
                _ACKNOWLEDGE_S, self._acknowledge
            )

    def _acknowledge(self) -> None:
        timer = self._timers.pop("acknowledge", None)
        if timer is not None:
            timer.cancel()
        frame = self._endpoint.acknowledge()
        if frame is not None and self._connection is not None:
            self._connection.write_messages([[frame]])

    def _hold(self, error: OSError) -> None:
        """Leave the kernel's output with the kernel: here is no room for it any more."""
        if self._is_held or self._channels is None:
            return
        self._is_held = True
        self._channels.hold_output()
        message = f"output waits in the kernel's memory: {error.strerror}"
        self._session.hold_output(message)
        self._timers["held"] = self._session.loop.call_later(_LOOK_AGAIN_S, self._look_for_room)

    def _look_for_room(self) -> None:
        if not self._is_held:
            return
        try:
            self._queue.settle()
        except OSError:
            self._timers["held"] = self._session.loop.call_later(_LOOK_AGAIN_S, self._look_for_room)
        else:
            self._release()

    def _release(self) -> None:
        self._is_held = False
        self._session.hold_output(None)
        if self._channels is not None:
            self._channels.release_output()

    def _look_for_silence(self) -> None:
        """End a connection whose other end has gone without a word."""
        connection, loop = self._connection, self._session.loop
        if connection is None:
            return
        if loop.time() - connection.heard_s > _SILENT_S:
            connection.abort()
            return
        self._timers["silence"] = loop.call_later(_LOOK_AGAIN_S, self._look_for_silence)

    def _stop_timers(self) -> None:
        for name in ("acknowledge", "silence"):
            timer = self._timers.pop(name, None)
            if timer is not None:
                timer.cancel()
