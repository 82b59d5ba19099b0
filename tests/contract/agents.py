"""An agent as a process, and what one asks it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from jupyter_remote_kernels import __version__
from jupyter_remote_kernels.link.agent_client import AgentClient
from jupyter_remote_kernels.model.endpoints import Endpoint
from jupyter_remote_kernels.protocol.frames import SUBPROTOCOL, decode, encode
from jupyter_remote_kernels.protocol.messages import Composer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
TOKEN = "the-runtimes-own-secret"
IPYKERNEL = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
LIMIT_S = 30


class RunningAgent:
    """An agent with a kernel, and a client of it."""

    def __init__(self, folder, argv=IPYKERNEL, python=sys.executable, path=ROOT):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            settings = {
                "version": __version__,
                "runtime_id": "0123-abcd",
                "token": TOKEN,
                "argv": argv,
                "directory": str(folder),
                "cwd": str(folder),
                # Kernels of hosts have nothing of ours; doubles need it.
                "env": {"PYTHONPATH": "" if "ipykernel_launcher" in argv else str(ROOT)},
                "listen_fd": listener.fileno(),
            }
            self.process = psutil.Popen(
                [python, "-m", "jupyter_remote_kernels.agent"],
                stdin=subprocess.PIPE,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(path)},
                pass_fds=[listener.fileno()],
            )
            self.process.stdin.write(json.dumps(settings).encode())
            self.process.stdin.close()
        self.client = AgentClient(Endpoint(f"http://127.0.0.1:{port}"), "0123-abcd", TOKEN)

    async def status(self):
        """What the agent says about itself."""
        response = await self.client._fetch("GET", "/api/remote-kernels/status")
        return json.loads(response.body)

    def peak_bytes(self):
        """The most memory that the agent has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def stop(self):
        self.client.close()
        self.process.terminate()
        self.process.wait(LIMIT_S)


class Cells:
    """Any Jupyter client on the agent's websocket; remembers everything it hears."""

    def __init__(self, websocket):
        self._websocket = websocket
        self._composer = Composer()
        self._news = asyncio.Event()
        self.heard = []

    @classmethod
    @asynccontextmanager
    async def of(cls, agent) -> AsyncIterator[Cells]:
        cells = cls(None)
        cells._websocket = await agent.client.open_channels(
            secrets.token_hex(16), cells._hear, (SUBPROTOCOL,)
        )
        try:
            yield cells
        finally:
            cells._websocket.close()

    def ask(self, msg_type, content, channel="shell", **header):
        """Send a request; returns its id."""
        parts = self._composer.compose(msg_type, content)
        if header:
            parts[0] = json.dumps({**json.loads(parts[0]), **header}).encode()
        self._websocket.send([encode(channel, parts)])
        return json.loads(parts[0])["msg_id"]

    def run(self, code, *, stop_on_error=False, **header):
        """Send a cell; returns its id."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "allow_stdin": False,
            "stop_on_error": stop_on_error,
        }
        return self.ask("execute_request", content, **header)

    async def wait(self, predicate):
        """Wait for a message and return it."""
        while True:
            self._news.clear()
            for message in self.heard:
                if predicate(message):
                    return message
            await asyncio.wait_for(self._news.wait(), LIMIT_S)

    async def reply(self, msg_id):
        """Wait for the reply to a request and return its content."""
        message = await self.wait(
            lambda m: m["channel"] in ("shell", "control") and m["parent"].get("msg_id") == msg_id
        )
        return message["content"]

    def _hear(self, data):
        if data is None:
            return
        channel, parts = decode(data)
        if channel == "agent":
            return
        header, parent, _, content = (json.loads(bytes(part)) for part in parts[:4])
        self.heard.append(
            {"channel": channel, "header": header, "parent": parent, "content": content}
        )
        self._news.set()
