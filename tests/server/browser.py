"""What a notebook does with its websocket: sends requests, reads answers and output."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from jupyter_server.services.kernels.connection.base import (
    deserialize_binary_message,
    deserialize_msg_from_ws_v1,
    serialize_binary_message,
    serialize_msg_to_ws_v1,
)


@dataclass
class Outcome:
    """Everything that answered one request."""

    reply: dict[str, Any] = field(default_factory=dict)
    output: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What was printed."""
        streams = (m["content"]["text"] for m in self.output if m["msg_type"] == "stream")
        return "".join(streams)

    @property
    def states(self) -> list[str]:
        """The execution states, in order."""
        return [m["content"]["execution_state"] for m in self.output if m["msg_type"] == "status"]

    def content(self, msg_type: str) -> dict[str, Any]:
        """The content of the only output message of a type."""
        (found,) = [m["content"] for m in self.output if m["msg_type"] == msg_type]
        return found


class Browser:
    """One websocket of one browser tab; it speaks both of Jupyter's framings."""

    def __init__(self, session_id: str | None = None) -> None:
        self.session_id = session_id or uuid.uuid4().hex
        self.socket: Any = None
        self.is_framed = True
        self._unread: list[dict[str, Any]] = []

    async def send(self, channel: str, msg_type: str, content: Any = None, **parts: Any) -> str:
        """Send a message; returns its id. Parts: ``buffers``, ``parent_header``, ``metadata``."""
        message = {
            "header": {
                "msg_id": uuid.uuid4().hex,
                "msg_type": msg_type,
                "session": self.session_id,
                "username": "test",
                "date": datetime.now(timezone.utc).isoformat(),
                "version": "5.4",
            },
            "parent_header": parts.get("parent_header", {}),
            "metadata": parts.get("metadata", {}),
            "content": content or {},
            "buffers": parts.get("buffers", []),
            "channel": channel,
        }
        if self.is_framed:
            names = ("header", "parent_header", "metadata", "content")
            parts_list = [json.dumps(message[name]).encode() for name in names]
            data = serialize_msg_to_ws_v1([*parts_list, *message["buffers"]], channel)
            await self.socket.write_message(data, binary=True)
        elif message["buffers"]:
            await self.socket.write_message(serialize_binary_message(message), binary=True)
        else:
            await self.socket.write_message(json.dumps(message))
        return message["header"]["msg_id"]

    async def next(self) -> dict[str, Any]:
        """Return the next message that is not read yet."""
        return self._unread.pop(0) if self._unread else await self._receive()

    async def until(self, wanted) -> dict[str, Any]:
        """Return the next message that fits; the others before it are kept for later."""
        for index, message in enumerate(self._unread):
            if wanted(message):
                return self._unread.pop(index)
        while True:
            message = await self._receive()
            if wanted(message):
                return message
            self._unread.append(message)

    async def ask(self, msg_type: str, content: Any = None, channel: str = "shell") -> Any:
        """Send a request and return the content of its reply."""
        msg_id = await self.send(channel, msg_type, content)
        reply = await self.until(
            lambda m: m["channel"] == channel and m["parent_header"].get("msg_id") == msg_id
        )
        return reply["content"]

    async def begin(self, code: str, cell_id: str | None = None, **content: Any) -> str:
        """Send a cell, of a notebook when it has an id; returns the request's id."""
        request = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": True,
            "stop_on_error": True,
            **content,
        }
        metadata = {"cellId": cell_id} if cell_id else {}
        return await self.send("shell", "execute_request", request, metadata=metadata)

    async def finish(self, msg_id: str) -> Outcome:
        """Read until a cell has both its reply and its last ``idle``."""
        outcome = Outcome()
        while not (outcome.reply and outcome.states[-1:] == ["idle"]):
            message = await self.until(lambda m: m["parent_header"].get("msg_id") == msg_id)
            if message["channel"] == "iopub":
                outcome.output.append(message)
            elif message["msg_type"] == "execute_reply":
                outcome.reply = message["content"]
        return outcome

    async def execute(self, code: str, **content: Any) -> Outcome:
        """Run a cell."""
        return await self.finish(await self.begin(code, **content))

    async def close(self) -> None:
        """Close the tab."""
        socket, self.socket = self.socket, None
        if socket is not None:
            socket.close()
            while await socket.read_message() is not None:
                pass  # what was on its way

    async def _receive(self) -> dict[str, Any]:
        data = await self.socket.read_message()
        if data is None:
            self.socket = None
            raise AssertionError("the server closed the websocket")
        return self._decode(data)

    def _decode(self, data: Any) -> dict[str, Any]:
        if self.is_framed:
            channel, parts = deserialize_msg_from_ws_v1(data)
            names = ("header", "parent_header", "metadata", "content")
            message: dict[str, Any] = {
                name: json.loads(bytes(part)) for name, part in zip(names, parts, strict=False)
            }
            message["buffers"] = [bytes(part) for part in parts[4:]]
            message["channel"] = channel
            message["msg_type"] = message["header"]["msg_type"]
            return message
        if isinstance(data, bytes):
            message = deserialize_binary_message(data)
            message["buffers"] = [bytes(part) for part in message["buffers"]]
            return message
        return json.loads(data)
