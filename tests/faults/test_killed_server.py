"""A real Jupyter server is killed or stopped while kernels run in it, and started again."""

from __future__ import annotations

import time
from datetime import datetime

import psutil

from jupyter_remote_kernels.model.phases import Phase
from tests.faults.jupyter_server_process import (
    execute,
    run,
    serving,
    wait_for_output,
)
from tests.faults.support import wait_until
from tests.faults.test_killed_outputs import begin_cell, find_execution, read_transcript

RUNTIMES = "/api/remote-kernels/runtimes"
# Works on while the server is away, and then some more.
SLOW = """
import time
for number in range(30):
    print(number, flush=True)
    time.sleep(0.1)
x = 42
"""


def start_busy_kernel(server):
    """Start a kernel that works until it is killed; returns its id."""
    kernel_id = server.ask("POST", "/api/kernels", {"name": "remote-python"})["id"]
    with server.open(kernel_id) as channel:
        msg_id = execute(channel, "print('working', flush=True)\nwhile True: pass")
        assert wait_for_output(channel, msg_id, "stream")["text"] == "working\n"
    return kernel_id


def start_session(server, path="one.ipynb"):
    """Open a notebook with a kernel; returns the session."""
    kernel = {"name": "remote-python"}
    body = {"path": path, "name": path, "type": "notebook", "kernel": kernel}
    return server.ask("POST", "/api/sessions", body)


def find(server, runtime_id):
    return server.ask("GET", f"{RUNTIMES}/{runtime_id}")


def check_same_kernel(server, session):
    """Kernel and session are what they were, and everything can be done with them."""
    kernel_id = session["kernel"]["id"]
    (listed,) = server.ask("GET", "/api/sessions")
    assert (listed["id"], listed["path"]) == (session["id"], session["path"])
    assert listed["kernel"]["id"] == kernel_id
    assert listed["kernel"]["name"] == "remote-python"
    assert [item["id"] for item in server.ask("GET", "/api/kernels")] == [kernel_id]
    assert run(server, kernel_id, "print(x)") == "42\n"
    with server.open(kernel_id) as channel:
        cell = execute(channel, "print('on', flush=True)\nwhile True: pass")
        wait_for_output(channel, cell, "stream")
        server.ask("POST", f"/api/kernels/{kernel_id}/interrupt")
        assert wait_for_output(channel, cell, "execute_reply")["ename"] == "KeyboardInterrupt"
    server.ask("POST", f"/api/kernels/{kernel_id}/restart")
    assert run(server, kernel_id, "print('x' in globals())") == "False\n"
    server.ask("DELETE", f"/api/sessions/{session['id']}")
    assert server.ask("GET", "/api/kernels") == []
    assert not server.home.processes()


def test_killed_server_with_a_busy_kernel_and_its_next_start(home):
    with serving(home) as server:
        session = start_session(server)
        kernel_id = session["kernel"]["id"]
        with server.open(kernel_id) as channel:
            cell = begin_cell(channel, SLOW, "cell-1")
            wait_for_output(channel, cell, "stream")
        server.kill()
    # The kernel goes on, and so does its agent.
    assert len(home.processes()) == 2
    time.sleep(1)  # so that most of it is printed while no server is there
    with serving(home) as server:
        assert find(server, kernel_id)["kernel_name"] == "remote-python"
        wait_until(lambda: find_execution(server, kernel_id)["state"] == "finished")
        messages = read_transcript(server, kernel_id, cell)
        streams = [m["content"]["text"] for m in messages if m["header"]["msg_type"] == "stream"]
        assert "".join(streams).split() == [str(number) for number in range(30)]
        check_same_kernel(server, session)
        server.end()
    (record,) = home.records()
    assert (record.id, record.phase) == (kernel_id, Phase.STOPPED)


def test_stopped_server_leaves_its_kernels_to_the_next(home):
    with serving(home) as server:
        session = start_session(server)
        run(server, session["kernel"]["id"], "x = 42")
        server.end()
    assert len(home.processes()) == 2
    assert "1 runtime will go on without this server" in home.server_log()
    (record,) = home.records()
    assert (record.phase, record.owner) == (Phase.RUNNING, None)
    with serving(home) as server:
        assert "took back 1 runtime " in home.server_log()
        check_same_kernel(server, session)
        server.end()


def test_kernel_of_a_killed_server_ends_by_itself(home):
    with serving(home, silence_timeout_s=0.5) as server:
        kernel_id = start_busy_kernel(server)
        processes = [psutil.Process(pid) for pid in home.processes()]
        server.kill()
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive
    # Another program cleans up, and the next server still tells why.
    home.start_again()
    assert [record.phase for record in home.records()] == [Phase.FAILED]
    with serving(home, on_server_stop="terminate") as server:
        runtime = find(server, kernel_id)
        assert (runtime["phase"], runtime["execution_state"]) == ("failed", "dead")
        assert runtime["exit"]["reason"] == "silence"
        server.end()


def test_reservation_holds_without_the_server(home):
    with serving(home) as server:
        body = {"environment": "python", "lease_s": 5}
        runtime_id = server.ask("POST", RUNTIMES, body)["id"]
        wait_until(lambda: find(server, runtime_id)["phase"] == "running")
        with server.open(runtime_id) as channel:
            msg_id = execute(channel, "print('working', flush=True)\nwhile True: pass")
            wait_for_output(channel, msg_id, "stream")
        expires_at = find(server, runtime_id)["expires_at"].replace("Z", "+00:00")
        assert len(home.processes()) == 2
        server.kill()
    left_s = datetime.fromisoformat(expires_at).timestamp() - time.time()
    assert left_s > 0, "the machine was too slow for this test"
    wait_until(lambda: not home.processes(), left_s + 30)
    late_s = time.time() - datetime.fromisoformat(expires_at).timestamp()
    assert 0 <= late_s < 1, late_s
    # The next start tells why, and charges until the end and not until now.
    with serving(home) as server:
        # The engine is asked beside the first requests.
        wait_until(lambda: find(server, runtime_id)["exit"])
        runtime = find(server, runtime_id)
        assert (runtime["phase"], runtime["exit"]["reason"]) == ("failed", "lease_over")
        (entry,) = home.ledger()
        assert not entry.is_open
        assert abs(entry.seconds - 5) < 1
        server.ask("POST", f"/api/kernels/{runtime_id}/restart")
        assert run(server, runtime_id, "print(6 * 7)") == "42\n"
        server.ask("DELETE", f"{RUNTIMES}/{runtime_id}")
        server.end()
