"""Servers as processes of their own: how they end, and several over one registry."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sys

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

from tests.server.api import Api
from tests.server.processes import labelled_processes

TOKEN = "for-the-test"


class ServerProcess:
    """A running ``jupyter server``."""

    def __init__(self, process):
        self.process = process
        self.log = []
        self.api = None

    async def read_until(self, pattern):
        """Read the server's log up to a line."""
        while line := (await self.process.stderr.readline()).decode():
            self.log.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError("".join(self.log))

    async def answers(self):
        """Tell whether it can be asked already."""
        try:
            return await self.api.fetch("GET", "/api/status")
        except ConnectionRefusedError:
            return None

    async def end(self, signum):
        """Send a signal and wait; returns the exit status."""
        self.process.send_signal(signum)
        self.log.append((await self.process.stderr.read()).decode())
        return await self.process.wait()


@pytest.fixture
def start_server(jp_environ, jp_root_dir, jp_asyncio_loop):
    """Start a server with our extension, as a user does."""
    servers = []

    async def start():
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser"),
            *("--ip=127.0.0.1", "--port=0", f"--IdentityProvider.token={TOKEN}"),
            "--ServerApp.jpserver_extensions=jupyter_remote_kernels=True",
            f"--ServerApp.root_dir={jp_root_dir}",
            stderr=asyncio.subprocess.PIPE,
        )
        server = ServerProcess(process)
        servers.append(server)
        url = (await server.read_until(r"http://127\.0\.0\.1:\d+")).group()
        server.api = Api(AsyncHTTPClient(), url, {"Authorization": f"token {TOKEN}"})
        while not await server.answers():  # noqa: ASYNC110 - nothing tells when the port is open
            await asyncio.sleep(0.05)
        return server

    yield start

    async def end_all():
        for server in servers:
            with contextlib.suppress(ProcessLookupError):
                server.process.terminate()
            await server.process.wait()

    jp_asyncio_loop.run_until_complete(end_all())


async def launch(server):
    """Start a runtime and wait for its kernel."""
    reply = await server.api("POST", "/runtimes", {"environment": "python"})
    assert reply.status == 202
    route = f"/runtimes/{reply.body['id']}"
    socket = await subscribe(server)
    while (await server.api("GET", route)).body["phase"] != "running":
        await socket.read_message()
    socket.close()
    return reply.body["id"]


async def subscribe(server):
    """Open the websocket of Jupyter's events."""
    url = server.api.base_url.replace("http", "ws", 1) + "/api/events/subscribe"
    return await websocket_connect(HTTPRequest(url, headers={"Authorization": f"token {TOKEN}"}))


async def test_server_that_is_ended_leaves_nothing(start_server, jp_data_dir):
    server = await start_server()
    await launch(server)
    assert labelled_processes(jp_data_dir)
    status = await server.end(signal.SIGTERM)
    assert status == 0, server.log
    assert not labelled_processes(jp_data_dir)
    assert "Traceback" not in "".join(server.log)


@pytest.mark.timeout(120)
async def test_two_servers_share_a_registry_and_leave_each_other_alone(start_server, jp_data_dir):
    first, second = [await start_server() for _ in range(2)]
    mine, yours = await launch(first), await launch(second)
    for server, own, other in ((first, mine, yours), (second, yours, mine)):
        listed = (await server.api("GET", "/runtimes")).body["runtimes"]
        assert [item["id"] for item in listed] == [own]
        assert (await server.api("DELETE", f"/runtimes/{other}")).status == 404
    assert await first.end(signal.SIGTERM) == 0
    assert not labelled_processes(jp_data_dir, f"jrk-{mine}")
    assert labelled_processes(jp_data_dir, f"jrk-{yours}")
    assert (await second.api("GET", f"/runtimes/{yours}")).body["phase"] == "running"
    shown = await list_runtimes()
    assert [item["id"] for item in shown] == [yours]
    assert shown[0]["owner"].endswith(str(second.process.pid))


async def list_runtimes():
    """Ask the command line, which needs no server."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jupyter_remote_kernels.cli.app", "ls", "--json"),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return json.loads(output)
