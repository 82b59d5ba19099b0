"""Much output while the link is away: bounded memory, a file beside the kernel, nothing lost."""

from __future__ import annotations

import psutil

from benchmarks.resumable import spilled_bytes
from tests.faults.support import IPYKERNEL, wait_until

MEBIBYTE = 2**20
COUNT = 100
ROOM = 64 * MEBIBYTE
# It says that it has begun, so that the link is not cut before the agent has the cell.
CODE = f"""
import pathlib, sys, time
print("begun", flush=True)
while not pathlib.Path({{go!r}}).exists():
    time.sleep(0.01)
for _ in range({COUNT}):
    sys.stdout.write("x" * {MEBIBYTE})
    sys.stdout.flush()
"""


def read_streams(client):
    """Yield what a cell prints, until it has ended."""
    while True:
        message = client.get_iopub_msg(timeout=20)
        if message["msg_type"] == "stream":
            yield message["content"]["text"]
        elif message["content"].get("execution_state") == "idle":
            return


def test_output_while_the_link_is_away_takes_little_memory(home, plane, relay, launch, tmp_path):
    runtime = launch("relay", IPYKERNEL)
    runtime.settle()
    runtime.client.wait_for_ready(timeout=20)
    agent = psutil.Process(runtime.agent_pid)
    before = agent.memory_info().rss
    go = tmp_path / "go"
    runtime.send(CODE.format(go=str(go)))
    printed = read_streams(runtime.client)
    assert next(printed) == "begun\n"

    plane.submit(relay.set_mode("cut")).result(20)
    runtime.until(lambda driver: driver.unreachable_since_s is not None)
    go.touch()
    peak = before

    def is_spilled():
        nonlocal peak
        peak = max(peak, agent.memory_info().rss)
        return spilled_bytes(agent.pid) > COUNT * MEBIBYTE - ROOM

    wait_until(is_spilled)
    plane.submit(relay.set_mode("open")).result(20)
    size = 0
    for text in printed:
        assert set(text) == {"x"}
        size += len(text)
        peak = max(peak, agent.memory_info().rss)

    assert size == COUNT * MEBIBYTE
    assert peak - before < ROOM
    # Every file in which something waited has been given back.
    assert spilled_bytes(agent.pid) < MEBIBYTE
