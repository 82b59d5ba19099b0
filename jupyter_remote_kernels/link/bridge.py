"""The bridge: the local side of one kernel, whose ports stay the same for its whole life.

Requests come from local ZMQ sockets or from taps (browsers of this very server) and go out
over the link. Replies find their way back by the id of the request. While no link is attached,
the stand-in answers.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput, LinkError
from jupyter_remote_kernels.link.local_sockets import Address, Keys, LocalSockets
from jupyter_remote_kernels.link.stand_in import Client, Request, StandIn
from jupyter_remote_kernels.protocol.frames import decode, encode
from jupyter_remote_kernels.protocol.messages import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import zmq

    from jupyter_remote_kernels.link.agent_client import Channels
    from jupyter_remote_kernels.link.stand_in import Tap
    from jupyter_remote_kernels.protocol.frames import Buffer

_INFO_PATIENCE_S = 10.0
_WRITABLE = ("shell", "control", "stdin")

__all__ = ["Activity", "Address", "Bridge", "Keys"]


@dataclass
class Activity:
    """What the bridge has seen of the kernel.

    Attributes
    ----------
    execution_state : str
        ``starting``, ``idle``, ``busy`` or ``dead``.
    last_s : float
        Time of the last message that a user caused, seconds since the epoch.
    executions : int
        Execute requests answered.
    """

    execution_state: str = "starting"
    last_s: float = field(default_factory=time.time)
    executions: int = 0


class TapClient:
    """A tap as the bridge sees a client."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def deliver(
        self, channel: str, parts: Sequence[bytes | memoryview], encoded: Buffer | None
    ) -> None:
        """Hand a message over, in the very bytes in which it came where there are any."""
        self._tap.deliver(encode(channel, parts) if encoded is None else encoded)


class Bridge:
    """The local side of one kernel. Made and used on the control plane's loop.

    Parameters
    ----------
    context : zmq.Context
        The process's one context for all bridges.
    kernel_id : str
        Names the topic on the output channel.
    keys : Keys
        The local secrets.
    kernel_info : mapping
        What the stand-in says about the kernel.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        kernel_id: str,
        keys: Keys,
        kernel_info: Mapping[str, Any],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = LocalSockets(
            context, f"kernel.{kernel_id}".encode(), keys, self._take, self._greet
        )
        self._taps: dict[Tap, TapClient] = {}
        self._routes: dict[str, Client] = {}
        self._channels: Channels | None = None
        self._patience: asyncio.TimerHandle | None = None
        self.stand_in = StandIn(kernel_info, self._answer, self._publish)
        self.activity = Activity()
        self.connection: dict[str, Any] = {}

    def bind(self, address: Address) -> dict[str, Any]:
        """Bind the local sockets; see :meth:`LocalSockets.bind`."""
        self.connection = self._sockets.bind(address)
        return self.connection

    def rebind(self) -> None:
        """Bind again what a restart has removed; see :meth:`LocalSockets.rebind`."""
        self._sockets.rebind()

    # -- taps: called from any thread -----------------------------------------

    def add_tap(self, tap: Tap) -> None:
        """Give a tap everything on the output channel from now on."""
        self._loop.call_soon_threadsafe(self._add_tap, tap)

    def remove_tap(self, tap: Tap) -> None:
        """Give a tap nothing any more."""
        self._loop.call_soon_threadsafe(self._taps.pop, tap, None)

    def take_framed(self, tap: Tap, data: bytes) -> None:
        """Take a message from a tap, in the order in which they are given."""
        self._loop.call_soon_threadsafe(self._take_framed, tap, data)

    # -- the link's side ------------------------------------------------------

    def expect_kernel(self) -> None:
        """Say that a kernel is about to come up: it may answer ``kernel_info`` itself."""
        if self._channels is None:
            self.stand_in.hold_info = True
            self._stop_patience()
            self._patience = self._loop.call_later(_INFO_PATIENCE_S, self.stand_in.answer_held_info)

    def attach(self, channels: Channels, kernel_info: Mapping[str, Any]) -> None:
        """Hand over to the kernel: deliver what was held, then pass everything on.

        Parameters
        ----------
        channels : Channels
            The open way to the agent.
        kernel_info : mapping
            The kernel's real answer, remembered for the next time without it.
        """
        self._stop_patience()
        self._channels = channels
        self.stand_in.kernel_info = dict(kernel_info)
        self.stand_in.hold_info = False
        if self.activity.execution_state in ("starting", "dead"):
            self.activity.execution_state = "idle"
        held = self.stand_in.take_held()
        for request in held:
            # The way back was forgotten if another kernel ended after this had been sent.
            self._routes[request.msg_id] = request.client
            self._forward(request)
        if not held and self.activity.execution_state == "idle":
            # The kernel's own "starting" may have come after what the stand-in had said, and
            # clients show the last state they heard of.
            self.stand_in.publish_status("idle")

    def detach(self, *, kernel_gone: bool) -> None:
        """Take over from a kernel that cannot be reached.

        Parameters
        ----------
        kernel_gone : bool
            Whether it is known to be gone; then no reply will ever come.
        """
        self._channels = None
        if kernel_gone:
            self._routes.clear()
            self.activity.execution_state = "dead"

    def receive(self, channel: str, parts: Sequence[memoryview], encoded: Buffer) -> None:
        """Pass a message from the kernel on to the local clients."""
        if channel == "iopub":
            self._observe(parts)
            self._publish(parts, encoded)
            return
        request_id = _parent_id(parts)
        if channel == "stdin":
            # The request is still running: its reply comes after the input.
            client = self._routes.get(request_id)
        else:
            client = self._routes.pop(request_id, None)
            if b'"execute_reply"' in bytes(parts[0]):
                self.activity.executions += 1
        if client is not None:
            client.deliver(channel, parts, encoded)

    def close(self) -> None:
        """Close the sockets and forget the taps."""
        self._stop_patience()
        self._channels = None
        self._sockets.close()
        self._taps.clear()

    # -- inside ---------------------------------------------------------------

    def _add_tap(self, tap: Tap) -> None:
        self._taps[tap] = TapClient(tap)
        self.stand_in.repeat_busy()

    def _take_framed(self, tap: Tap, data: bytes) -> None:
        client = self._taps.get(tap)
        if client is None:
            return
        try:
            channel, parts = decode(data)
            header = unpack(parts[0]) if len(parts) >= 4 else {}
        except InvalidInput:
            return
        if channel in _WRITABLE and header:
            msg_id, msg_type = str(header.get("msg_id", "")), str(header.get("msg_type", ""))
            self._take(Request(channel, msg_id, msg_type, parts, client, data))

    def _take(self, request: Request) -> None:
        if request.channel != "stdin":
            self._routes[request.msg_id] = request.client
        elif self._channels is None:
            return  # an answer to a kernel that does not ask any more
        self._forward(request)

    def _forward(self, request: Request) -> None:
        if self._channels is not None:
            try:
                if request.encoded is not None:
                    self._channels.send_encoded(request.encoded)
                else:
                    self._channels.send(request.channel, request.parts)
            except LinkError:
                # The link noticed before us that it is down: the request is not lost.
                self._channels = None
            else:
                return
        self.stand_in.handle(request)

    def _answer(self, request: Request, parts: list[bytes]) -> None:
        self._routes.pop(request.msg_id, None)
        request.client.deliver(request.channel, parts, None)

    def _publish(self, parts: Sequence[bytes | memoryview], encoded: Buffer | None = None) -> None:
        self._sockets.publish(parts)
        if self._taps:
            data = encode("iopub", parts) if encoded is None else encoded
            for tap in self._taps:
                tap.deliver(data)

    def _greet(self) -> None:
        # JEP 65: proves to a subscriber that from now on it gets everything.
        self.stand_in.greet()
        self.stand_in.repeat_busy()

    def _observe(self, parts: Sequence[memoryview]) -> None:
        """Keep the execution state; all other messages cost one search in the header."""
        if b'"status"' not in bytes(parts[0]):
            if self.activity.execution_state == "busy":
                self.activity.last_s = time.time()
            return
        try:
            state = str(unpack(parts[3]).get("execution_state", ""))
            cause = str(unpack(parts[1]).get("msg_type", ""))
        except InvalidInput:
            return
        # Questions that the front end asks by itself are nobody's activity.
        if cause in ("execute_request", "comm_msg", "comm_open"):
            self.activity.last_s = time.time()
            self.activity.execution_state = state

    def _stop_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def _parent_id(parts: Sequence[memoryview]) -> str:
    try:
        return str(unpack(parts[1]).get("msg_id", ""))
    except InvalidInput:
        return ""
