"""Runtimes on other hosts over the restarts of a server, whatever happens meanwhile."""

from __future__ import annotations

import sys

import pytest

from tests.faults.jupyter_server_process import run, serving, wait_for_output
from tests.faults.support import wait_until
from tests.faults.test_killed_outputs import begin_cell, find_execution, read_transcript
from tests.faults.test_takeover import find

RUNTIMES = "/api/remote-kernels/runtimes"
SLOW = """
import time
for number in range(60):
    print(number, flush=True)
    time.sleep(0.1)
x = 42
"""


@pytest.fixture
def environments(host):
    """The server's environments: one, on a host of its own."""
    return {"box": {"provider": "ssh", "options": {**host.options, "python": sys.executable}}}


@pytest.fixture
def left(home, environments):
    """A runtime whose server was killed in the middle of a cell; its id and the cell's."""
    with serving(home, environments=environments) as server:
        runtime_id = server.ask("POST", RUNTIMES, {"environment": "box"})["id"]
        wait_until(lambda: find(server, runtime_id)["phase"] == "running", 60)
        with server.open(runtime_id) as channel:
            cell = begin_cell(channel, SLOW, "cell-1")
            wait_for_output(channel, cell, "stream")
        server.kill()
    return runtime_id, cell


@pytest.mark.timeout(180)
def test_host_without_its_cable_comes_back(home, host, environments, left):
    runtime_id, cell = left
    host.cut()
    with serving(home, environments=environments, on_server_stop="terminate") as server:
        wait_until(lambda: find(server, runtime_id)["reachability"]["attempt"], 60)
        runtime = find(server, runtime_id)
        assert (runtime["phase"], runtime["execution_state"]) == ("running", "unknown")
        host.heal()
        wait_until(lambda: find(server, runtime_id)["reachability"]["state"] == "ok", 60)
        wait_until(lambda: find_execution(server, runtime_id)["state"] == "finished")
        messages = read_transcript(server, runtime_id, cell)
        streams = [m["content"]["text"] for m in messages if m["header"]["msg_type"] == "stream"]
        assert "".join(streams).split() == [str(number) for number in range(60)]
        assert run(server, runtime_id, "print(x)") == "42\n"
        server.end()


@pytest.mark.timeout(180)
def test_host_that_was_started_anew_meanwhile(home, host, environments, left):
    runtime_id, _ = left
    host.crash()
    host.boot()
    with serving(home, environments=environments, on_server_stop="terminate") as server:
        wait_until(lambda: find(server, runtime_id)["phase"] == "failed", 60)
        assert find(server, runtime_id)["exit"]["message"]
        server.ask("POST", f"/api/kernels/{runtime_id}/restart")
        assert run(server, runtime_id, "print(6 * 7)") == "42\n"
        server.end()
