"""What a bridge writes to: one connection, or a session that outlives its connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_remote_kernels.errors import LinkUnavailable
from jupyter_remote_kernels.protocol.frames import AGENT_CHANNEL, encode_head
from jupyter_remote_kernels.protocol.messages import pack
from jupyter_remote_kernels.protocol.resumable import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jupyter_remote_kernels.link.position import LinkPosition
    from jupyter_remote_kernels.link.websocket import Websocket
    from jupyter_remote_kernels.protocol.frames import Buffer

_ACKNOWLEDGE_S = 0.2


class Channels(Protocol):
    """The way to a kernel's channels."""

    def send(self, channel: str, parts: Sequence[Buffer]) -> None:
        """Send one kernel message."""

    def send_encoded(self, data: Buffer) -> None:
        """Send one kernel message that has its framing already."""


class PlainChannels:
    """One connection to a peer that does not know the resumable protocol."""

    def __init__(self, websocket: Websocket) -> None:
        self._websocket = websocket

    def send(self, channel: str, parts: Sequence[Buffer]) -> None:
        """Send one kernel message.

        Raises
        ------
        LinkUnavailable
            When the connection is closed.
        """
        self._websocket.send([encode_head(channel, parts), *parts])

    def send_encoded(self, data: Buffer) -> None:
        """Send one kernel message that has its framing already."""
        self._websocket.send([data])


class ResumableChannels:
    """A session with an agent. What is sent while there is no connection waits for the next.

    Parameters
    ----------
    position : LinkPosition
        How far an earlier process has come.
    """

    def __init__(self, position: LinkPosition) -> None:
        self._position = position
        self._endpoint = Endpoint(position.session, finished=position.finished)
        self._websocket: Websocket | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._write: Callable[[], None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the agent has greeted us on the present connection."""
        return self._endpoint.is_ready

    @property
    def details(self) -> Mapping[str, Any]:
        """What the agent has told in its greeting."""
        return self._endpoint.details

    def connect(self, websocket: Websocket) -> None:
        """Go on over a new connection."""
        self._websocket = websocket
        websocket.send([self._endpoint.connect()])

    def disconnect(self) -> None:
        """Keep what is sent until there is another connection."""
        self._websocket = None
        self._finish()
        self._endpoint.disconnect()

    def send(self, channel: str, parts: Sequence[Buffer]) -> None:
        """Send one kernel message, now or when there is a connection again."""
        self._send([encode_head(channel, parts), *parts])

    def send_encoded(self, data: Buffer) -> None:
        """Send one kernel message that has its framing already."""
        self._send([data])

    def order(self, action: str) -> None:
        """Tell the agent itself something, in its place among the messages."""
        self.send(AGENT_CHANNEL, [pack({"action": action})])

    def receive(self, data: Buffer) -> list[tuple[int, memoryview]]:
        """Take a frame; returns the messages that are complete with it, with their numbers.

        Raises
        ------
        InvalidInput
            When the connection cannot go on; the next one makes it good.
        """
        messages = self._endpoint.receive(data)
        if not messages:
            self._flush()  # maybe the agent has room for more now
        return messages

    def settle(self, write: Callable[[], None]) -> None:
        """Say that everything received is dealt with: it will never be asked for again.

        Parameters
        ----------
        write : callable
            Makes it last; called before anybody is told, soon and once for many frames.
        """
        self._write = write
        self._endpoint.finish()
        if self._endpoint.is_acknowledgement_due:
            self._acknowledge()
        elif self._timer is None:
            self._timer = self._loop.call_later(_ACKNOWLEDGE_S, self._acknowledge)

    def _send(self, message: Sequence[Buffer]) -> None:
        self._endpoint.send(message)
        self._flush()

    def _flush(self) -> None:
        if self._websocket is None:
            return
        try:
            for frame in self._endpoint.outgoing():
                self._websocket.send(frame)
        except LinkUnavailable:
            # The connection is over, which is told to the link in a moment.
            self.disconnect()

    def _acknowledge(self) -> None:
        self._finish()
        frame = self._endpoint.acknowledge()
        if frame is None or self._websocket is None:
            return
        try:
            self._websocket.send([frame])
        except LinkUnavailable:
            self.disconnect()

    def _finish(self) -> None:
        self._stop_timer()
        write, self._write = self._write, None
        if write is not None:
            write()
            # Before the agent is told, which forgets it then.
            self._position.finished = self._endpoint.receiver.finished

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
