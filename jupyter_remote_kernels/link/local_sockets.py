"""The five local ZMQ sockets of a kernel: bound ports, signatures, identities."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import zmq

from jupyter_remote_kernels.errors import InvalidInput, LinkError
from jupyter_remote_kernels.link.stand_in import Request
from jupyter_remote_kernels.protocol.messages import unpack
from jupyter_remote_kernels.protocol.signing import DELIMITER, Signer
from jupyter_remote_kernels.sockets import Message, SocketPump

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jupyter_remote_kernels.protocol.frames import Buffer

_TYPES = {
    "shell": zmq.ROUTER,
    "control": zmq.ROUTER,
    "stdin": zmq.ROUTER,
    "hb": zmq.ROUTER,
    "iopub": zmq.XPUB,
}
_CLOSE_LINGER_MS = 200


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


class ZmqClient:
    """A client behind the sockets, known by its identities."""

    def __init__(self, sockets: LocalSockets, identities: tuple[bytes, ...]) -> None:
        self._sockets = sockets
        self._identities = identities

    def deliver(
        self, channel: str, parts: Sequence[bytes | memoryview], encoded: Buffer | None
    ) -> None:
        """Send a message to this client; see :class:`~jupyter_remote_kernels.link.stand_in.Client`.

        Clients use one identity for shell and stdin, as the protocol asks for.
        """
        self._sockets.send(channel, self._identities, parts)


class LocalSockets:
    """Binds and serves the sockets. Made and used on the control plane's loop.

    Parameters
    ----------
    context : zmq.Context
        The process's one context for all bridges.
    topic : bytes
        What messages on the output channel begin with.
    keys : Keys
        The local secrets.
    on_request : callable
        Gets every message of a client whose signature is right.
    on_subscribe : callable
        Called for each new subscriber of the output channel.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        topic: bytes,
        keys: Keys,
        on_request: Callable[[Request], None],
        on_subscribe: Callable[[], None],
    ) -> None:
        self._context = context
        self._topic = topic
        self._keys = keys
        self._signer = Signer(keys.key, keys.scheme)
        self._on_request = on_request
        self._on_subscribe = on_subscribe
        self._loop = asyncio.get_running_loop()
        self._pumps: dict[str, SocketPump] = {}
        self._subscribers = 0

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
        if self._keys.curve_publickey and self._keys.curve_secretkey:
            # As text, which is how jupyter_client compares them.
            info["curve_publickey"] = self._keys.curve_publickey.decode()
            info["curve_secretkey"] = self._keys.curve_secretkey.decode()
        for index, channel in enumerate(_TYPES, 1):
            port = address.ports.get(channel, 0)
            info[f"{channel}_port"] = self._bind_channel(channel, address, port, index)
        return info

    def rebind(self) -> None:
        """Bind sockets in the file system again; the others stay as they are.

        jupyter_client removes the files of ``ipc`` sockets at every restart of a kernel.
        """
        for pump in self._pumps.values():
            url = pump.socket.getsockopt_string(zmq.LAST_ENDPOINT)
            if url.startswith("ipc://"):
                pump.socket.unbind(url)
                pump.socket.bind(url)

    def send(
        self, channel: str, identities: Sequence[bytes], parts: Sequence[bytes | memoryview]
    ) -> None:
        """Send a signed message to one client."""
        pump = self._pumps.get(channel)
        if pump is not None:
            pump.send([*identities, DELIMITER, self._signer.sign(parts), *parts])

    def publish(self, parts: Sequence[bytes | memoryview]) -> None:
        """Send a signed message to all subscribers of the output channel."""
        if self._subscribers > 0 and "iopub" in self._pumps:
            self._pumps["iopub"].send([self._topic, DELIMITER, self._signer.sign(parts), *parts])

    def close(self) -> None:
        """Close the sockets; messages on their way may still leave."""
        for pump in self._pumps.values():
            pump.close(linger_ms=_CLOSE_LINGER_MS)
        self._pumps = {}

    def _bind_channel(self, channel: str, address: Address, port: int, index: int) -> int:
        socket = self._context.socket(_TYPES[channel])
        # Nothing may be lost between here and a slow reader in this very process.
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.LINGER, 0)
        if channel == "iopub":
            # Every subscription and its end are seen, so that they can be counted.
            socket.setsockopt(zmq.XPUB_VERBOSER, 1)
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
        split = message.index(DELIMITER) if DELIMITER in message else 0
        if split < 1 or len(message) < split + 6:
            return
        parts = message[split + 2 :]
        if not self._signer.verify(message[split + 1], parts):
            return
        try:
            header = unpack(parts[0])
        except InvalidInput:
            return
        client = ZmqClient(self, tuple(message[:split]))
        self._on_request(
            Request(
                channel,
                str(header.get("msg_id", "")),
                str(header.get("msg_type", "")),
                parts,
                client,
            )
        )

    def _subscribed(self, message: Message) -> None:
        if message[0][:1] == b"\x01":
            self._subscribers += 1
            self._on_subscribe()
        elif self._subscribers:
            self._subscribers -= 1


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
