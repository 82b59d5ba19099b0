"""Doubles between us and the agents: a network that can be cut, an engine that can be wrong."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from jupyter_remote_kernels.providers.base import Endpoint, Provider
from jupyter_remote_kernels.providers.local import LocalProvider

REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Network:
    """A TCP proxy in front of one agent. Used on one loop.

    ``mode`` says what becomes of new connections: ``open``, ``cut`` (closed at once),
    ``silent`` (accepted, and never answered) or ``refuse`` (somebody else answers).
    """

    def __init__(self, port):
        self.mode = "open"
        self.accepted = 0
        self._port = port
        self._writers = set()
        self._tasks = set()
        self._server = None

    async def listen(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    def set_mode(self, mode):
        """Change the mode; every connection that is there is lost."""
        self.mode = mode
        for writer in self._writers:
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
        self._writers.add(writer)
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
            self._writers.discard(writer)
            writer.close()

    async def _join(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.add(far_writer)
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            self._writers.discard(far_writer)
            far_writer.close()


async def _copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.transport.abort() if writer.is_closing() else writer.close()


class RelayProvider(Provider):
    """Real jobs of this machine, behind a network and an engine that a test controls."""

    name = "relay"
    poll_interval_s = 0.05

    def __init__(self):
        self._inner = LocalProvider()
        self._networks = []
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
        network = Network(urlsplit(real.url).port)
        network.mode = self.mode
        self._networks.append(network)
        return Endpoint(f"http://127.0.0.1:{await network.listen()}", token=self.token)

    async def recover(self, label):
        return await self._inner.recover(label)

    async def set_mode(self, mode):
        """Change the network for all agents."""
        self.mode = mode
        for network in self._networks:
            network.set_mode(mode)

    async def close(self):
        for network in self._networks:
            await network.close()

    @property
    def accepted(self):
        """How many connections there have been."""
        return sum(network.accepted for network in self._networks)
