"""The bridge: five local ZMQ sockets that look like a kernel's own.

Requests come in signed and with the client's identity; they go out over the link without
either. Replies find their way back by the id of the request. While no link is attached, the
stand-in answers. The ports stay the same over reconnect, restart, pause, resume and move.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import zmq

from jupyter_remote_kernels.errors import InvalidInput, LinkError
from jupyter_remote_kernels.link.stand_in import Request, StandIn
from jupyter_remote_kernels.protocol.frames import Buffer
from jupyter_remote_kernels.protocol.messages import unpack
from jupyter_remote_kernels.protocol.signing import DELIMITER, Signer
from jupyter_remote_kernels.sockets import Message, SocketPump

_TYPES = {
    "shell": zmq.ROUTER,
    "control": zmq.ROUTER,
    "stdin": zmq.ROUTER,
    "hb": zmq.ROUTER,
    "iopub": zmq.XPUB,
}
_INFO_PATIENCE_S = 2.0

SendMessage = Callable[[str, Sequence[Buffer]], None]


@dataclass(frozen=True)
class Address:
    """Where the local sockets are bound.

    Attributes
    ----------
    transport : str
        ``tcp`` or ``ipc``.
    ip : str
        Address, or the path prefix for ``ipc``.
    ports : mapping of str to int
        Wanted port per channel; 0 picks a free one.
    """

    transport: str = "tcp"
    ip: str = "127.0.0.1"
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Keys:
    """Secrets of the local sockets; never shown.

    Attributes
    ----------
    key : bytes
        Signs the messages.
    scheme : str
        Signature scheme.
    curve_publickey, curve_secretkey : bytes or None
        CurveZMQ keys, when the local sockets are to be encrypted.
    """

    key: bytes = field(repr=False)
    scheme: str = "hmac-sha256"
    curve_publickey: bytes | None = field(default=None, repr=False)
    curve_secretkey: bytes | None = field(default=None, repr=False)


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
        self._context = context
        self._keys = keys
        self._signer = Signer(keys.key, keys.scheme)
        self._topic = f"kernel.{kernel_id}".encode()
        self._loop = asyncio.get_running_loop()
        self._pumps: dict[str, SocketPump] = {}
        self._routes: dict[str, tuple[str, tuple[bytes, ...]]] = {}
        self._send: SendMessage | None = None
        self._patience: asyncio.TimerHandle | None = None
        self.stand_in = StandIn(kernel_info, self._reply_locally, self._publish)
        self.activity = Activity()
        self.connection: dict[str, Any] = {}

    def bind(self, address: Address) -> dict[str, Any]:
        """Bind the sockets.

        Returns
        -------
        dict
            Connection information as jupyter_client wants it, with the key as bytes.

        Raises
        ------
        LinkError
            When an address cannot be bound.
        """
        info: dict[str, Any] = {
            "transport": address.transport,
            "ip": address.ip,
            "key": self._keys.key,
            "signature_scheme": self._keys.scheme,
        }
        if self._keys.curve_publickey:
            info["curve_publickey"] = self._keys.curve_publickey
            info["curve_secretkey"] = self._keys.curve_secretkey
        for index, channel in enumerate(_TYPES, 1):
            port = address.ports.get(channel, 0)
            info[f"{channel}_port"] = self._bind_channel(channel, address, port, index)
        self.connection = info
        return info

    def expect_kernel(self) -> None:
        """Say that a kernel is about to come up: it may answer ``kernel_info`` itself."""
        if self._send is None:
            self.stand_in.hold_info = True
            self._stop_patience()
            self._patience = self._loop.call_later(_INFO_PATIENCE_S, self.stand_in.answer_held_info)

    def attach(self, send: SendMessage, kernel_info: Mapping[str, Any]) -> None:
        """Hand over to the kernel: deliver what was held, then pass everything on.

        Parameters
        ----------
        send : callable
            ``(channel, parts)``; raises LinkError when the link is down.
        kernel_info : mapping
            The kernel's real answer, remembered for the next time without it.
        """
        self._stop_patience()
        self._send = send
        self.stand_in.kernel_info = dict(kernel_info)
        self.stand_in.hold_info = False
        if self.activity.execution_state in ("starting", "dead"):
            self.activity.execution_state = "idle"
        for request in self.stand_in.take_held():
            self._forward(request)

    def detach(self, *, kernel_gone: bool) -> None:
        """Take over from a kernel that cannot be reached.

        Parameters
        ----------
        kernel_gone : bool
            Whether it is known to be gone; then no reply will ever come.
        """
        self._send = None
        if kernel_gone:
            self._routes.clear()
            self.activity.execution_state = "dead"

    def receive(self, channel: str, parts: Message) -> None:
        """Pass a message from the kernel on to the local clients."""
        if channel == "iopub":
            self._observe(parts)
            self._publish(parts)
        elif channel == "stdin":
            self._ask_input(parts)
        elif channel in ("shell", "control"):
            self._deliver_reply(channel, parts)

    def close(self) -> None:
        """Close the sockets; messages on their way may still leave."""
        self._stop_patience()
        self._send = None
        for pump in self._pumps.values():
            pump.close(linger_ms=200)
        self._pumps = {}

    def _bind_channel(self, channel: str, address: Address, port: int, index: int) -> int:
        socket = self._context.socket(_TYPES[channel])
        # Nothing may be lost between here and a slow reader in this very process.
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.LINGER, 0)
        if channel == "iopub":
            # Every subscription is seen, also a second equal one: see repeat_busy.
            socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        else:
            # A client that reconnects with its old identity takes over from its dead self.
            socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        if self._keys.curve_secretkey and self._keys.curve_publickey:
            socket.curve_server = True
            socket.curve_secretkey = self._keys.curve_secretkey
            socket.curve_publickey = self._keys.curve_publickey
        try:
            bound = _bind_socket(socket, address, port, index)
        except zmq.ZMQError as error:
            socket.close(0)
            raise LinkError(
                f"port {port} on {address.ip} cannot be bound: {error}", reason="bind_failed"
            ) from error
        receivers: dict[str, Callable[[Message], None]] = {
            "hb": lambda message: self._pumps["hb"].send(message),
            "iopub": self._subscribed,
        }
        receive = receivers.get(channel, lambda message: self._from_client(channel, message))
        self._pumps[channel] = SocketPump(socket, receive, self._loop)
        return bound

    def _from_client(self, channel: str, message: Message) -> None:
        """Take a signed message of a local client; strangers without the key are ignored."""
        split = next((i for i, part in enumerate(message) if part == DELIMITER), -1)
        if split < 1 or len(message) < split + 6:
            return
        parts = message[split + 2 :]
        if not self._signer.verify(bytes(message[split + 1]), parts):
            return
        try:
            header = unpack(parts[0])
        except InvalidInput:
            return
        identities = tuple(bytes(part) for part in message[:split])
        request = Request(
            channel,
            identities,
            str(header.get("msg_id", "")),
            str(header.get("msg_type", "")),
            parts,
        )
        if channel != "stdin":
            self._routes[request.msg_id] = (channel, identities)
        if self._send is not None:
            self._forward(request)
        elif channel != "stdin":
            self.stand_in.handle(request)

    def _forward(self, request: Request) -> None:
        if self._send is None:
            self.stand_in.handle(request)
            return
        try:
            self._send(request.channel, request.parts)
        except LinkError:
            # The link noticed before us that it is down: the request is not lost.
            self._send = None
            self.stand_in.handle(request)

    def _deliver_reply(self, channel: str, parts: Message) -> None:
        route = self._routes.pop(_parent_id(parts), None)
        if route is None or channel not in self._pumps:
            return
        if b'"execute_reply"' in bytes(parts[0]):
            self.activity.executions += 1
        self._pumps[route[0]].send([*route[1], DELIMITER, self._signer.sign(parts), *parts])

    def _ask_input(self, parts: Message) -> None:
        route = self._routes.get(_parent_id(parts))
        if route is not None and "stdin" in self._pumps:
            # Clients use one identity for shell and stdin, as the protocol asks for.
            self._pumps["stdin"].send([*route[1], DELIMITER, self._signer.sign(parts), *parts])

    def _reply_locally(self, request: Request, parts: list[bytes]) -> None:
        self._routes.pop(request.msg_id, None)
        if request.channel in self._pumps:
            message = [*request.identities, DELIMITER, self._signer.sign(parts), *parts]
            self._pumps[request.channel].send(message)

    def _publish(self, parts: Sequence[bytes | memoryview]) -> None:
        if "iopub" in self._pumps:
            self._pumps["iopub"].send([self._topic, DELIMITER, self._signer.sign(parts), *parts])

    def _subscribed(self, message: Message) -> None:
        if bytes(message[0][:1]) == b"\x01":
            # JEP 65: proves to a subscriber that from now on it gets everything.
            self.stand_in.greet()
            self.stand_in.repeat_busy()

    def _observe(self, parts: Message) -> None:
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


def _bind_socket(socket: zmq.Socket[bytes], address: Address, port: int, index: int) -> int:
    if address.transport == "ipc":
        port = port or index
        socket.bind(f"ipc://{address.ip}-{port}")
        return port
    if port:
        socket.bind(f"tcp://{address.ip}:{port}")
        return port
    socket.bind(f"tcp://{address.ip}:*")
    endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    return int(endpoint.rpartition(":")[2])


def _parent_id(parts: Message) -> str:
    try:
        return str(unpack(parts[1]).get("msg_id", ""))
    except InvalidInput:
        return ""
