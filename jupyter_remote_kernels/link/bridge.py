"""The bridge: the local side of one kernel, whose ports stay the same for its whole life.

Requests come from local ZMQ sockets or from taps (browsers of this very server) and go out
over the link. Replies find their way back by the id of the request. While no link is attached,
the stand-in answers.
"""

from __future__ import annotations

import asyncio
import tempfile
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput, LinkError
from jupyter_remote_kernels.link.activity import Activity, Executing
from jupyter_remote_kernels.link.journal import Journal
from jupyter_remote_kernels.link.local_sockets import Address, Keys, LocalSockets
from jupyter_remote_kernels.link.stand_in import Client, Request, StandIn
from jupyter_remote_kernels.protocol.frames import decode, encode
from jupyter_remote_kernels.protocol.messages import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import zmq

    from jupyter_remote_kernels.link.channels import Channels
    from jupyter_remote_kernels.link.stand_in import Tap
    from jupyter_remote_kernels.protocol.frames import Buffer

_INFO_PATIENCE_S = 10.0
_WRITABLE = ("shell", "control", "stdin")

__all__ = ["Activity", "Address", "Bridge", "Keys"]


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

    Attributes
    ----------
    journal : Journal
        Keeps what cells put out, once somebody has said where.
    question_id : str or None
        The id of the ``input_request`` that nobody has answered yet.
    executing : Executing
        The cells that the kernel was given and has not answered yet.
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
        self._is_holding = False
        self._answers: Channels | None = None
        self._patience: asyncio.TimerHandle | None = None
        self.stand_in = StandIn(kernel_info, self._answer, self._say)
        self.journal = Journal(lambda: None)
        self.question_id: str | None = None
        self.activity = Activity()
        self.executing = Executing()
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
        self._loop.call_soon_threadsafe(self._remove_tap, tap)

    def take_framed(self, tap: Tap, data: bytes) -> None:
        """Take a message from a tap, in the order in which they are given."""
        self._loop.call_soon_threadsafe(self._take_framed, tap, data)

    def find_spill_directory(self) -> str:
        """Return where files may lie that wait for a tap: owner-only, gone with the runtime."""
        try:
            return str(self.journal.make_directory())
        except OSError:
            return tempfile.gettempdir()  # they have no name, so nobody sees them there either

    @property
    def kept_bytes(self) -> int:
        """How much may wait for one tap."""
        return self.journal.limit_bytes

    # -- the link's side ------------------------------------------------------

    def expect_kernel(self) -> None:
        """Say that a kernel is about to come up: it may answer ``kernel_info`` itself."""
        if self._channels is None and not self._is_holding:
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
        self._channels = self._answers = channels
        self.stand_in.kernel_info = dict(kernel_info)
        self.stand_in.hold_info = False
        if not self._is_holding:
            self._deliver_held()

    def hold(self) -> None:
        """Give the kernel no requests any more but those on the control channel."""
        self._is_holding = True
        self._stop_patience()
        self.stand_in.answer_held_info()

    def release(self) -> None:
        """Give the kernel what was held, as soon as there is one, and all that comes."""
        if self._is_holding:
            self._is_holding = False
            if self._channels is not None:
                self._deliver_held()

    def _deliver_held(self) -> None:
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
            self._answers = None
            self._routes.clear()
            self.executing.clear()
            self.activity.execution_state = "dead"
            self.journal.finish_running(self.stand_in.held_ids)

    def receive(
        self,
        channel: str,
        parts: Sequence[memoryview],
        encoded: Buffer,
        number: int = 0,
        *,
        is_known: bool = False,
    ) -> None:
        """Pass a message from the kernel on to the local clients.

        Parameters
        ----------
        channel : str
            ``iopub``, ``shell``, ``stdin`` or ``control``.
        parts : sequence of memoryview
            Header, parent header, metadata, content, buffers.
        encoded : bytes-like
            The message in the framing of a websocket.
        number : int, optional
            Its number on the link, by which the journal knows what comes again; 0 is none.
        is_known : bool, optional
            Whether a process before this one has given it to the clients already.
        """
        self.journal.take(channel, parts, encoded, number)
        if channel == "iopub":
            self.activity.observe(parts)
            if not is_known:
                self._publish(parts, encoded)
            return
        request_id = _read_id(parts[1])
        if channel == "stdin":
            # The request is still running: its reply comes after the input.
            self.question_id = _read_id(parts[0])
            client = self._routes.get(request_id)
        else:
            client = self._routes.pop(request_id, None)
            if b'"execute_reply"' in bytes(parts[0]):
                self.activity.executions += 1
                self.executing.remove(request_id)
                self.question_id = None
        if client is not None:
            client.deliver(channel, parts, encoded)
            if channel == "shell" and self.journal.unheard:
                for reply in _end_unheard(self.journal, self.stand_in, parts[1]):
                    self._tell_taps(reply)
            return
        # Asked for by a process before this one, for whom is not known. A question may come twice.
        if not is_known or channel == "stdin":
            self._tell_taps(encoded)

    def flush(self) -> None:
        """Write what cells have put out; the link acknowledges only what is written."""
        self.journal.flush()

    def close(self) -> None:
        """Close the sockets and forget the taps."""
        self.journal.close()
        self._stop_patience()
        self._channels = None
        self._sockets.close()
        for tap in list(self._taps):
            self._remove_tap(tap)

    # -- inside ---------------------------------------------------------------

    def _add_tap(self, tap: Tap) -> None:
        self._taps[tap] = TapClient(tap)
        self.stand_in.repeat_busy()

    def _remove_tap(self, tap: Tap) -> None:
        if self._taps.pop(tap, None) is not None:
            tap.close()

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
        elif self._answers is None:
            return  # an answer to a kernel that does not ask any more
        if request.msg_type == "execute_request":
            self.journal.begin(request.msg_id, request.parts)
        elif request.msg_type == "input_reply":
            self.question_id = None
            self.journal.answer(request.parts)
        self._forward(request)

    def _forward(self, request: Request) -> None:
        # A running cell waits for an answer: it goes out as soon as there is a connection again.
        is_answer = request.channel == "stdin"
        channels = self._answers if is_answer else self._channels
        is_held = self._is_holding and request.channel == "shell"
        if channels is not None and not is_held:
            try:
                if request.encoded is not None:
                    channels.send_encoded(request.encoded)
                else:
                    channels.send(request.channel, request.parts)
            except LinkError:
                # The link noticed before us that it is down: the request is not lost.
                self._channels = None
            else:
                if request.msg_type == "execute_request":
                    self.executing.add(request.msg_id)
                return
        if not is_answer:
            self.stand_in.handle(request)

    def _answer(self, request: Request, parts: list[bytes]) -> None:
        self._routes.pop(request.msg_id, None)
        self.journal.take(request.channel, parts, None)
        request.client.deliver(request.channel, parts, None)

    def _say(self, parts: list[bytes]) -> None:
        """Publish a message of the stand-in."""
        self.journal.take("iopub", parts, None)
        self._publish(parts)

    def _tell_taps(self, data: Buffer) -> None:
        for tap in list(self._taps):
            tap.deliver(data)

    def _publish(self, parts: Sequence[bytes | memoryview], encoded: Buffer | None = None) -> None:
        self._sockets.publish(parts)
        if self._taps:
            self._tell_taps(encode("iopub", parts) if encoded is None else encoded)

    def _greet(self) -> None:
        # JEP 65: proves to a subscriber that from now on it gets everything.
        self.stand_in.greet()
        self.stand_in.repeat_busy()

    def _stop_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def _read_id(header: Buffer) -> str:
    try:
        return str(unpack(header).get("msg_id", ""))
    except InvalidInput:
        return ""


def _end_unheard(journal: Journal, stand_in: StandIn, answered: Buffer) -> Iterator[bytes]:
    """End what an earlier process was asked for and cannot have passed on; yields the replies.

    A kernel takes requests in their order, and it has answered a later one.
    """
    if unpack(answered).get("subshell_id"):
        return
    for msg_id in list(journal.unheard):
        parent = pack({"msg_id": msg_id, "msg_type": "execute_request"})
        reply = stand_in.tell_lost(parent)
        journal.take("shell", reply, None)
        yield encode("shell", reply)
