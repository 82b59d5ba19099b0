"""A plain blocking client of one kernel: REST and one websocket, as a browser uses them."""

from __future__ import annotations

import json
import socket
import time
import uuid
from typing import TYPE_CHECKING, Any

import websocket
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.servers import Variant

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
_NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)


class Message:
    """What a kernel sent: its channel, type, parent and content, parsed when asked for."""

    def __init__(self, channel: str, header: Any, parent: Any, content: Any) -> None:
        self.channel = channel
        self.kind: str = header["msg_type"]
        self.parent: str = parent.get("msg_id", "")
        self._content = content

    @property
    def content(self) -> dict[str, Any]:
        """The content; large ones are costly to parse, so it is done here and not before."""
        if isinstance(self._content, bytes):
            self._content = json.loads(self._content)
        parsed: dict[str, Any] = self._content
        return parsed

    @property
    def is_idle(self) -> bool:
        """Whether this is the end of a request on the output channel."""
        return self.kind == "status" and self.content["execution_state"] == "idle"


class Kernel:
    """One kernel with one open websocket.

    Parameters
    ----------
    variant : Variant
        The way to it.
    """

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self._session = uuid.uuid4().hex
        model = variant.server.request("POST", "/api/kernels", {"name": variant.kernel})
        self.id: str = model["id"]
        self._socket: Any = None

    def connect(self) -> None:
        """Open the websocket."""
        server = self.variant.server
        self._socket = websocket.create_connection(
            f"ws://127.0.0.1:{server.port}/api/kernels/{self.id}/channels"
            f"?session_id={self._session}",
            header=[f"Authorization: token {server.token}"],
            subprotocols=[SUBPROTOCOL] if self.variant.subprotocol else None,
            sockopt=[_NODELAY if self.variant.nodelay else _DELAY],
            timeout=120,
            # Checking each text frame for valid UTF-8 would measure this client.
            skip_utf8_validation=True,
        )

    def fileno(self) -> int:
        """Return the websocket's file descriptor."""
        descriptor: int = self._socket.fileno()
        return descriptor

    def close(self) -> None:
        """Close the websocket and delete the kernel."""
        if self._socket is not None:
            self._socket.close()
        self.variant.server.request("DELETE", f"/api/kernels/{self.id}")

    def send(
        self, kind: str, content: dict[str, Any], metadata: dict[str, Any] | None = None
    ) -> str:
        """Send a request on the shell channel and return its id."""
        message_id = uuid.uuid4().hex
        header = {
            "msg_id": message_id,
            "msg_type": kind,
            "session": self._session,
            "username": "",
            "version": "5.3",
            "date": "2000-01-01T00:00:00Z",
        }
        if self.variant.subprotocol:
            parts = [json.dumps(part).encode() for part in (header, {}, metadata or {}, content)]
            self._socket.send_binary(serialize_msg_to_ws_v1(parts, "shell"))
        else:
            message = {"header": header, "parent_header": {}, "content": content}
            more = {"metadata": metadata or {}, "channel": "shell", "buffers": []}
            self._socket.send(json.dumps({**message, **more}))
        return message_id

    def execute(self, code: str, cell: str | None = None) -> str:
        """Send code to run, unrecorded in the history, and return the request's id.

        Parameters
        ----------
        code : str
            The code.
        cell : str, optional
            The id of the notebook's cell.
        """
        return self.send(
            "execute_request",
            {"code": code, "silent": False, "store_history": False, "allow_stdin": False},
            None if cell is None else {"cellId": cell},
        )

    def receive(self, limit_s: float) -> Message | None:
        """Return the next message, or None when none came in time."""
        deadline = time.monotonic() + limit_s
        opcode = websocket.ABNF.OPCODE_PING
        # The server's pings are answered here too, and must not count as an answer.
        while opcode in (websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_PONG):
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                opcode, data = self._socket.recv_data(control_frame=True)
            except websocket.WebSocketTimeoutException:
                return None
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise RuntimeError("the server closed the websocket")
        if opcode == websocket.ABNF.OPCODE_BINARY and self.variant.subprotocol:
            channel, parts = deserialize_msg_from_ws_v1(data)
            header, parent, _metadata, content = parts[:4]
            return Message(channel, json.loads(header), json.loads(parent), bytes(content))
        message = json.loads(data)
        return Message(
            message["channel"], message["header"], message["parent_header"], message["content"]
        )

    def answers(self, request: str, limit_s: float) -> Iterator[tuple[float, Message]]:
        """Yield ``(seconds of the monotonic clock, message)`` for one request.

        It ends when both the reply and the idle status are there, or when nothing came for
        ``limit_s`` seconds.
        """
        missing = {"reply", "idle"}
        while missing:
            message = self.receive(limit_s)
            now = time.perf_counter()
            if message is None:
                return
            if message.parent != request:
                continue
            if message.kind.endswith("_reply"):
                missing.discard("reply")
            elif message.is_idle:
                missing.discard("idle")
            yield now, message
