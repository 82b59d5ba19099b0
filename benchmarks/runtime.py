"""Runtimes of a control plane in this very process: nothing but agent and link is measured."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.control.launch import ControlSettings, LaunchRequest
from jupyter_remote_kernels.control.plane import ControlPlane
from jupyter_remote_kernels.link.agent_client import AgentClient
from jupyter_remote_kernels.link.bridge import Address, Keys
from jupyter_remote_kernels.model.environments import Environment
from jupyter_remote_kernels.model.records import KernelCommand
from jupyter_remote_kernels.protocol.frames import SUBPROTOCOL, decode, encode
from jupyter_remote_kernels.protocol.messages import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jupyter_remote_kernels.link.agent_client import OnMessage
    from jupyter_remote_kernels.link.websocket import Websocket
    from jupyter_remote_kernels.protocol.frames import Buffer

IPYKERNEL = (sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")
_LIMIT_S = 60.0


class Cell:
    """What has come for one cell. Filled on the control plane's loop.

    Attributes
    ----------
    reply_s, idle_s, output_s : float
        When the reply, the idle status and the last output came, on the performance counter.
    output_bytes : int
        Size of the contents of all output.
    outputs : list of memoryview
        Contents of stream and display messages, if they are kept.
    began, ended : threading.Event
        The kernel has begun; reply and idle status have come.
    """

    def __init__(self, *, keeps: bool) -> None:
        self.reply_s = self.idle_s = self.output_s = 0.0
        self.output_bytes = 0
        self.outputs: list[memoryview] = []
        self.began = threading.Event()
        self.ended = threading.Event()
        self._keeps = keeps

    def take(self, channel: str, parts: list[memoryview]) -> None:
        """Take a message that answers this cell; costs as little as possible."""
        header = bytes(parts[0])
        if channel == "shell":
            self.reply_s = time.perf_counter()
        elif b'"stream"' in header or b'"display_data"' in header:
            self.output_s = time.perf_counter()
            self.output_bytes += parts[3].nbytes
            if self._keeps:
                self.outputs.append(parts[3])
        elif b'"status"' in header:
            if unpack(parts[3]).get("execution_state") == "idle":
                self.idle_s = time.perf_counter()
            else:
                self.began.set()
        if self.reply_s and self.idle_s:
            self.ended.set()


class Runtime:
    """One runtime and a tap on its bridge; one cell at a time.

    Parameters
    ----------
    plane : ControlPlane
        Where it is launched.
    provider : str
        Its provider.
    plain : bool
        Whether its link is to offer only the plain protocol.
    """

    def __init__(
        self, plane: ControlPlane, provider: str = "local", *, plain: bool = False
    ) -> None:
        self.id = str(uuid.uuid4())
        self._plane = plane
        request = LaunchRequest(
            runtime_id=self.id,
            name="bench",
            environment=Environment("bench", "Bench", provider=provider),
            command=KernelCommand(IPYKERNEL),
            address=Address(),
            keys=Keys(b"key"),
        )
        if plain:
            _plain_ids.add(self.id)
        plane.submit(plane.launch(request)).result(_LIMIT_S)
        driver = plane.find(self.id)
        assert driver is not None
        self.driver = driver
        plane.submit(driver.wait_settled()).result(_LIMIT_S)
        self._request_id = b""
        self._cell = Cell(keeps=False)
        driver.bridge.add_tap(self)
        self.run("pass")

    @property
    def agent_pid(self) -> int:
        """The agent's process."""
        checkpoint = self.driver.record.checkpoint
        assert checkpoint is not None
        return int(checkpoint["pid"])

    def begin(self, code: str, *, cell: str | None = None, keeps: bool = False) -> Cell:
        """Send a cell.

        Parameters
        ----------
        code : str
            The code.
        cell : str, optional
            The id of the notebook's cell; then the server's journal keeps what it puts out.
        keeps : bool, optional
            Whether the outputs are wanted, and not only their size.
        """
        message_id = uuid.uuid4().hex
        header = {
            "msg_id": message_id,
            "msg_type": "execute_request",
            "session": self.id,
            "username": "",
            "version": "5.3",
            "date": "2000-01-01T00:00:00Z",
        }
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        metadata: dict[str, Any] = {} if cell is None else {"cellId": cell}
        parts = [pack(part) for part in (header, {}, metadata, content)]
        self._cell = Cell(keeps=keeps)
        self._request_id = message_id.encode()
        self.driver.bridge.take_framed(self, encode("shell", parts))
        return self._cell

    def run(
        self, code: str, *, cell: str | None = None, keeps: bool = False, limit_s: float = 300
    ) -> Cell:
        """Send a cell and wait for its end."""
        sent = self.begin(code, cell=cell, keeps=keeps)
        if not sent.ended.wait(limit_s):
            raise RuntimeError(f"a cell did not end: {code[:60]!r}")
        return sent

    def deliver(self, data: Buffer) -> None:
        """Take a message, as a tap."""
        channel, parts = decode(data)
        if self._request_id in bytes(parts[1]):
            self._cell.take(channel, parts)

    def close(self) -> None:
        """Nothing comes any more."""

    def stop(self) -> None:
        """Terminate it."""
        self._plane.submit(self.driver.stop()).result(_LIMIT_S)


@contextmanager
def running_plane(folder: Path) -> Iterator[ControlPlane]:
    """Run a control plane whose links can be made plain."""
    original = AgentClient.open_channels

    async def open_channels(self: AgentClient, session_id: str, on_message: OnMessage) -> Websocket:
        if self._kernel_path.rpartition("/")[2] in _plain_ids:
            return await original(self, session_id, on_message, (SUBPROTOCOL,))
        return await original(self, session_id, on_message)

    AgentClient.open_channels = open_channels  # type: ignore[assignment,method-assign]
    plane = ControlPlane(folder / "state", ControlSettings(stop_grace_s=2.0))
    try:
        yield plane
    finally:
        plane.close()
        AgentClient.open_channels = original  # type: ignore[method-assign]


_plain_ids: set[str] = set()
