"""Doubles between us and the agents: a network that can be cut, an engine that can be wrong."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from jupyter_remote_kernels.providers.base import Endpoint, Provider
from jupyter_remote_kernels.providers.local import LocalProvider

REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Network:
    """A TCP proxy in front of one agent. Used on one loop.

    ``mode`` says what becomes of new connections: ``open``, ``cut`` (closed at once),
    ``silent`` (accepted, and never answered) or ``refuse`` (somebody else answers). What is
    under way can be stalled, slowed down, cut in the middle of a message, or left half-open.
    """

    def __init__(self, port):
        self.mode = "open"
        self.accepted = 0
        self._port = port
        self._near = set()
        self._far = set()
        self._half_open = set()
        self._tasks = set()
        self._server = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._rest_bytes = None
        self.delay_s = 0.0
        self.bytes_per_s = None

    async def listen(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    def set_mode(self, mode):
        """Change the mode; every connection that is there is lost."""
        self.mode = mode
        self._rest_bytes = None
        self._flows.set()
        for writer in [*self._near, *self._far]:
            writer.transport.abort()

    def stall(self):
        """Let nothing pass any more, and tell nobody."""
        self._flows.clear()

    def flow(self):
        """Let pass what has waited."""
        self._flows.set()

    def cut_after(self, size):
        """Cut everything once so many bytes more have passed, wherever that is."""
        self._rest_bytes = size

    def leave_half_open(self):
        """Cut the near side; the far side does not hear of it."""
        self._half_open |= self._near
        for writer in self._near:
            writer.transport.abort()

    async def close(self):
        self._server.close()
        self.set_mode("cut")
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept(self, reader, writer):
        self.accepted += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._near.add(writer)
        try:
            if self.mode == "open":
                await self._join(reader, writer)
            elif self.mode == "silent":
                await reader.read(-1)
            elif self.mode == "refuse":
                await reader.readuntil(b"\r\n\r\n")
                writer.write(REFUSAL)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # cut, which is what this is for
        finally:
            self._near.discard(writer)
            writer.close()

    async def _join(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._far.add(far_writer)
        ways = [
            asyncio.create_task(self._copy(reader, far_writer)),
            asyncio.create_task(self._copy(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if writer in self._half_open:
                ways[1].cancel()
                await asyncio.wait(ways)
                await far_reader.read(-1)  # until the far end has had enough
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            self._far.discard(far_writer)
            self._half_open.discard(writer)
            # An end without an error is passed on as one.
            writer.close()
            far_writer.close()

    async def _copy(self, reader, writer):
        with suppress(OSError):
            while data := await reader.read(65536):
                if self.bytes_per_s is not None:
                    await asyncio.sleep(len(data) / self.bytes_per_s)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._flows.wait()
                if self._rest_bytes is None:
                    writer.write(data)
                    await writer.drain()
                    continue
                passing = data[: self._rest_bytes]
                self._rest_bytes -= len(passing)
                writer.write(passing)
                await writer.drain()
                if len(passing) < len(data):
                    self.set_mode(self.mode)


class RelayProvider(Provider):
    """Real jobs of this machine, behind a network and an engine that a test controls."""

    name = "relay"
    poll_interval_s = 0.05

    def __init__(self):
        self._inner = LocalProvider()
        self._networks = {}
        self._urls = {}
        self.mode = "open"
        self.token = None
        self.status = None

    def start(self, spec):
        return self._inner.start(spec)

    async def poll(self, checkpoints):
        if self.status is not None:
            return [self.status] * len(checkpoints)
        return await self._inner.poll(checkpoints)

    async def stop(self, checkpoint, grace_s):
        await self._inner.stop(checkpoint, grace_s)

    async def endpoint(self, checkpoint):
        real = await self._inner.endpoint(checkpoint)
        port = urlsplit(real.url).port
        if port not in self._networks:  # asked before each attempt to connect
            self._networks[port] = network = Network(port)
            network.mode = self.mode
            self._urls[port] = f"http://127.0.0.1:{await network.listen()}"
        return Endpoint(self._urls[port], token=self.token)

    async def recover(self, label, options=None):
        return await self._inner.recover(label, options)

    async def set_mode(self, mode):
        """Change the network for all agents."""
        self.mode = mode
        for network in self._networks.values():
            network.set_mode(mode)

    async def with_networks(self, act):
        """Do something to every network, on their loop."""
        for network in self._networks.values():
            act(network)

    async def close(self):
        for network in self._networks.values():
            await network.close()

    @property
    def accepted(self):
        """How many connections there have been."""
        return sum(network.accepted for network in self._networks.values())
