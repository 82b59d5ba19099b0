"""A server is killed again and again while a cell prints; its transcript misses nothing."""

from __future__ import annotations

import json
import uuid

import psutil
import pytest

from tests.faults.jupyter_server_process import run, serving, wait_for_output
from tests.faults.support import wait_until

LINES = 20_000
PRINTING = f"""
import time
for number in range({LINES}):
    print(number, flush=True)
    if number % 100 == 0:
        time.sleep(0.03)
"""


def begin_cell(channel, code, cell_id):
    """Send a notebook's cell."""
    msg_id = uuid.uuid4().hex
    header = {"msg_id": msg_id, "msg_type": "execute_request", "session": "s", "username": "u"}
    header.update(version="5.3", date="2000-01-01T00:00:00Z")
    message = {
        "header": header,
        "parent_header": {},
        "metadata": {"cellId": cell_id},
        "content": {"code": code, "silent": False, "allow_stdin": False},
    }
    channel.send(json.dumps({**message, "channel": "shell", "buffers": []}))
    return msg_id


def find_execution(server, kernel_id):
    """Return the only kept execution."""
    path = f"/api/remote-kernels/runtimes/{kernel_id}/executions"
    (execution,) = server.ask("GET", path)["executions"]
    return execution


def read_transcript(server, kernel_id, msg_id):
    """Return all messages of an execution."""
    path = f"/api/remote-kernels/runtimes/{kernel_id}/executions/{msg_id}"
    messages, page = [], {"next_offset": 0, "complete": False}
    while not page["complete"]:
        page = server.ask("GET", f"{path}?offset={page['next_offset']}")
        messages += page["messages"]
    return messages


@pytest.mark.timeout(240)
def test_transcript_over_several_servers(home):
    with serving(home) as server:
        kernel_id = server.ask("POST", "/api/kernels", {"name": "remote-python"})["id"]
        with server.open(kernel_id) as channel:
            cell = begin_cell(channel, PRINTING, "cell-1")
            for _ in range(500):
                wait_for_output(channel, cell, "stream")
        server.kill()
    for _ in range(2):
        with serving(home) as server:
            with server.open(kernel_id) as channel:
                for _ in range(300):
                    wait_for_output(channel, cell, "stream")
            server.kill()
    with serving(home, on_server_stop="terminate") as server:
        execution = wait_until(
            lambda: (found := find_execution(server, kernel_id))["state"] == "finished" and found,
            60,
        )
        assert execution["msg_id"] == cell
        assert (execution["dropped_messages"], execution["execution_count"]) == (0, 1)
        messages = read_transcript(server, kernel_id, cell)
        assert len(messages) == execution["messages"]
        streams = [m["content"]["text"] for m in messages if m["header"]["msg_type"] == "stream"]
        assert "".join(streams).split() == [str(number) for number in range(LINES)]
        assert len({message["header"]["msg_id"] for message in messages}) == len(messages)
        server.end()
    assert not home.processes()


def test_cell_that_was_lost_with_its_server_says_so(home):
    with serving(home) as server:
        kernel_id = server.ask("POST", "/api/kernels", {"name": "remote-python"})["id"]
        runtime = f"/api/remote-kernels/runtimes/{kernel_id}"
        wait_until(lambda: server.ask("GET", runtime)["phase"] != "submitted")
        for pid in home.processes():
            # So the cell is held for a kernel that does not come up yet.
            psutil.Process(pid).suspend()
        with server.open(kernel_id) as channel:
            cell = begin_cell(channel, "print('never')", "cell-1")
            wait_for_output(channel, cell, "status")
        server.kill()
    for pid in home.processes():
        psutil.Process(pid).resume()
    with serving(home, on_server_stop="terminate") as server:
        assert run(server, kernel_id, "print('on')") == "on\n"
        assert find_execution(server, kernel_id)["state"] == "finished"
        messages = read_transcript(server, kernel_id, cell)
        (error,) = [m["content"] for m in messages if m["header"]["msg_type"] == "error"]
        assert error["traceback"][-1] == "Run it again."
        assert {"execute_reply", "status"} <= {m["header"]["msg_type"] for m in messages}
        server.end()
