"""The websocket of a link: the sans-I/O protocol of ``websockets`` on an asyncio transport.

A cell is answered by several small messages that arrive together. They are taken apart in one
go and handed on by plain calls; a coroutine per message would cost more than all the rest.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from websockets.client import ClientProtocol
from websockets.exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    WebSocketException,
)
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from jupyter_remote_kernels.errors import LinkError, LinkRefused, LinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jupyter_remote_kernels.protocol.frames import Buffer

_CONNECT_LIMIT_S = 20.0
_PING_INTERVAL_S = 5.0
# Without a sign of life for so many intervals the peer counts as unreachable.
_SILENT_INTERVALS = 2


class Websocket(asyncio.Protocol):
    """One open websocket.

    Made by :meth:`connect`. All on one loop.
    """

    def __init__(
        self, protocol: ClientProtocol, on_message: Callable[[Buffer | None], None]
    ) -> None:
        self._protocol = protocol
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._fragments: list[Buffer] = []
        self._heard_s = 0.0
        self._pinger: asyncio.TimerHandle | None = None

    @classmethod
    async def connect(
        cls,
        url: str,
        headers: Mapping[str, str],
        subprotocols: Sequence[str],
        on_message: Callable[[Buffer | None], None],
    ) -> Websocket:
        """Connect and shake hands.

        Parameters
        ----------
        url : str
            ``ws://…``.
        headers : mapping
            Sent with the request.
        subprotocols : sequence of str
            Offered; the peer picks one.
        on_message : callable
            Gets every binary message, and None once, when the connection is over.

        Raises
        ------
        LinkRefused
            When the peer does not accept us.
        LinkUnavailable
            When it cannot be reached.
        """
        offered = [Subprotocol(name) for name in subprotocols]
        protocol = ClientProtocol(parse_uri(url), subprotocols=offered, max_size=None)
        request = protocol.connect()
        request.headers.update(headers)
        protocol.send_request(request)
        self = cls(protocol, on_message)
        try:
            await self._open(protocol.uri.host, protocol.uri.port)
        except BaseException:  # also a cancelled one must not stay half-open at the agent
            self.close(1001)
            raise
        return self

    @property
    def subprotocol(self) -> str | None:
        """What the peer picked of what was offered."""
        return self._protocol.subprotocol

    @property
    def close_code(self) -> int | None:
        """What the peer has said with its end, if anything."""
        received = self._protocol.close_rcvd
        return None if received is None else received.code

    def send(self, parts: Sequence[Buffer]) -> None:
        """Send one binary message made of parts.

        Raises
        ------
        LinkUnavailable
            When the connection is closed.
        """
        if self._transport is None or self._protocol.state is not State.OPEN:
            raise LinkUnavailable("the connection to the kernel is closed")
        self._protocol.send_binary(b"".join(parts))
        self._flush()

    def close(self, code: int = 1000) -> None:
        """Close; ``on_message`` is not called any more.

        Parameters
        ----------
        code : int
            Why; 1000 says goodbye for good, 1001 that somebody will be back.
        """
        self._on_message = _ignore
        self._stop_pings()
        if self._transport is not None:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(code)
                self._flush()
            # The agent needs no more from us, and we wait for nothing.
            self._transport.close()

    # -- asyncio's side -------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio, which has set TCP_NODELAY already."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_connection makes
        self._transport = transport
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with whatever has arrived."""
        self._heard_s = self._loop.time()
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
            else:
                self._shake_hands()
        self._flush()

    def eof_received(self) -> None:
        """Called by asyncio when the peer has closed its side."""
        self._protocol.receive_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio, once."""
        self._transport = None
        self._stop_pings()
        if not self._opened.done():
            reason = self._protocol.handshake_exc or exc or ConnectionError("closed at once")
            self._opened.set_exception(reason)
            return
        self._on_message(None)

    # -- inside ---------------------------------------------------------------

    async def _open(self, host: str, port: int) -> None:
        try:
            connecting = self._loop.create_connection(lambda: self, host, port)
            await asyncio.wait_for(connecting, _CONNECT_LIMIT_S)
            await asyncio.wait_for(self._opened, _CONNECT_LIMIT_S)
        except (InvalidStatus, InvalidHandshake) as error:
            raise _translate(error) from error
        except (OSError, WebSocketException, asyncio.TimeoutError) as error:
            raise LinkUnavailable(f"the agent cannot be reached: {error}") from error

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY and frame.fin:
            self._on_message(frame.data)
        elif frame.opcode in (Opcode.BINARY, Opcode.CONT):
            self._fragments.append(frame.data)
            if frame.fin:
                whole, self._fragments = b"".join(self._fragments), []
                self._on_message(whole)

    def _shake_hands(self) -> None:
        if self._opened.done():
            return
        if self._protocol.handshake_exc is not None:
            self._opened.set_exception(self._protocol.handshake_exc)
        elif self._protocol.state is State.OPEN:
            self._opened.set_result(None)
            self._ping()

    def _flush(self) -> None:
        if self._transport is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
        if self._protocol.close_expected() and self._protocol.state is State.CLOSING:
            self._transport.close()

    def _ping(self) -> None:
        """Ask for a sign of life: a half-open connection never fails by itself."""
        silent_s = self._loop.time() - self._heard_s
        if silent_s > _SILENT_INTERVALS * _PING_INTERVAL_S and self._transport is not None:
            self._transport.abort()
            return
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._flush()
        self._pinger = self._loop.call_later(_PING_INTERVAL_S, self._ping)

    def _stop_pings(self) -> None:
        if self._pinger is not None:
            self._pinger.cancel()
            self._pinger = None


def _ignore(message: Buffer | None) -> None:
    """Take messages that come after the end."""


def _translate(error: InvalidHandshake) -> LinkError:
    if isinstance(error, InvalidStatus) and error.response.status_code >= 500:
        return LinkUnavailable(f"the agent answered {error.response.status_code}")
    if isinstance(error, InvalidMessage):  # above all: a tunnel that closes what it accepted
        return LinkUnavailable(f"the agent did not answer: {error}")
    return LinkRefused("the agent refused the connection")
