"""A kernel on a host of its own, over a real ssh connection that is cut in every way."""

from __future__ import annotations

import sys
import threading

import pytest

from tests.faults.support import IPYKERNEL

LINES = 10_000
LAST_S = 60.0
PROGRAM = f"""
import time
begun = time.monotonic()
for i in range({LINES}):
    print("line", i, flush=True)
    time.sleep(max(0.0, begun + {LAST_S} * (i + 1) / {LINES} - time.monotonic()))
"""


@pytest.fixture
def runtime(launch, host, plane):
    """A runtime with an IPython kernel on a host in namespaces of its own."""
    handle = launch("ssh", argv=IPYKERNEL, **host.options, python=sys.executable)
    handle.on(handle.driver.wait_settled(), 60)
    handle.client.wait_for_ready(timeout=60)
    yield handle
    host.open()
    host.heal()
    handle.stop()


def read_output(client, msg_id):
    """Return everything a cell prints."""
    chunks = []
    while True:
        message = client.get_iopub_msg(timeout=90)
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        if message["msg_type"] == "stream":
            chunks.append(message["content"]["text"])
        elif message["content"].get("execution_state") == "idle":
            return "".join(chunks)


@pytest.mark.timeout(240)
def test_ten_thousand_lines_over_a_reset_and_a_pulled_cable(runtime, host):
    told = []
    runtime.plane.subscribe(lambda change: told.append(change.action))

    def harm():
        # How long each lasts is what is tested.
        waiting = threading.Event()
        waiting.wait(5.0)
        host.reject()
        waiting.wait(10.0)
        host.open()
        waiting.wait(5.0)
        host.cut()
        waiting.wait(30.0)
        host.heal()

    harming = threading.Thread(target=harm)
    msg_id = runtime.send(PROGRAM)
    harming.start()
    output = read_output(runtime.client, msg_id)
    harming.join()
    assert output == "".join(f"line {i}\n" for i in range(LINES))
    assert "reachability" in told
    reply = runtime.client.get_shell_msg(timeout=20)
    while reply["parent_header"].get("msg_id") != msg_id:
        reply = runtime.client.get_shell_msg(timeout=20)
    assert reply["content"]["status"] == "ok"
    assert runtime.driver.unreachable_since_s is None
