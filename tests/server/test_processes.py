"""Servers as processes of their own: how they end, and several over one registry."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.server.processes import labelled_processes
from tests.server.server_process import TOKEN


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
