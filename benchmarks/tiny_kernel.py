"""A kernel with nothing but pyzmq, so that many of them fit on one machine.

It answers ``kernel_info_request`` and ``shutdown_request``, and to every ``execute_request`` it
publishes the code as a result.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import zmq

_DELIMITER = b"<IDS|MSG>"
_INFO = {
    "status": "ok",
    "protocol_version": "5.3",
    "implementation": "tiny",
    "implementation_version": "1",
    "language_info": {"name": "tiny", "mimetype": "text/plain", "file_extension": ".txt"},
    "banner": "",
}


class TinyKernel:
    """The sockets of one connection file and what is answered on them."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self._key = str(connection["key"]).encode()
        self._session = uuid.uuid4().hex
        self._count = 0
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._poller = zmq.Poller()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        kinds = {"shell": zmq.ROUTER, "control": zmq.ROUTER, "stdin": zmq.ROUTER}
        for name, kind in {**kinds, "hb": zmq.REP, "iopub": zmq.PUB}.items():
            sock = context.socket(kind)
            host, port = connection["ip"], connection[f"{name}_port"]
            separator = ":" if connection["transport"] == "tcp" else "-"
            sock.bind(f"{connection['transport']}://{host}{separator}{port}")
            self._sockets[name] = sock
            if name in ("shell", "control", "hb"):
                self._poller.register(sock, zmq.POLLIN)

    def run(self) -> None:
        """Answer until a shutdown request comes."""
        names = {sock: name for name, sock in self._sockets.items()}
        while True:
            for sock, _event in self._poller.poll():
                name = names[sock]
                if name == "hb":
                    sock.send(sock.recv())
                elif not self._answer(name, sock.recv_multipart()):
                    return

    def _answer(self, channel: str, frames: list[bytes]) -> bool:
        """Answer one request; False after a shutdown request."""
        cut = frames.index(_DELIMITER)
        identities, header = frames[:cut], json.loads(frames[cut + 2])
        kind = header["msg_type"]
        content: dict[str, Any] = {"status": "ok"}
        self._publish("status", {"execution_state": "busy"}, header)
        if kind == "kernel_info_request":
            content = _INFO
        elif kind == "execute_request":
            self._count += 1
            code = json.loads(frames[cut + 5])["code"]
            result = {"execution_count": self._count, "metadata": {}}
            self._publish("execute_result", {**result, "data": {"text/plain": code}}, header)
            content = {"status": "ok", "execution_count": self._count, "payload": []}
        elif kind == "shutdown_request":
            content = {"status": "ok", "restart": json.loads(frames[cut + 5])["restart"]}
        reply = self._pack(kind.replace("_request", "_reply"), content, header)
        self._sockets[channel].send_multipart([*identities, *reply])
        self._publish("status", {"execution_state": "idle"}, header)
        return bool(kind != "shutdown_request")

    def _publish(self, kind: str, content: dict[str, Any], parent: dict[str, Any]) -> None:
        self._sockets["iopub"].send_multipart([kind.encode(), *self._pack(kind, content, parent)])

    def _pack(self, kind: str, content: dict[str, Any], parent: dict[str, Any]) -> list[bytes]:
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "session": self._session,
            "username": "kernel",
            "version": "5.3",
            "date": "2000-01-01T00:00:00Z",
        }
        parts = [json.dumps(part).encode() for part in (header, parent, {}, content)]
        signature = hmac.new(self._key, b"".join(parts), hashlib.sha256).hexdigest().encode()
        return [_DELIMITER, signature, *parts]


if __name__ == "__main__":
    # Between cells a kernel is not ended by an interrupt.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection_file = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    TinyKernel(connection_file).run()
