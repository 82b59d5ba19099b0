"""The disk beside the kernel is full while output waits there for a link that is away."""

from __future__ import annotations

import contextlib

import pytest

from tests.engines.tools import call, require_root
from tests.faults.support import IPYKERNEL, wait_until

DISK_BYTES = 16 * 2**20
MEGABYTES = 80
PROGRAM = """
for i in range({count}):
    print(str(i % 10) * 1_000_000, flush=True)
open({mark!r}, "w").close()
"""


@pytest.fixture
def small_disk(home):
    """Runtimes lie on a disk with room for next to nothing."""
    require_root()
    home.runtimes.mkdir(parents=True, mode=0o700)
    call(
        *("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs"),
        str(home.runtimes),
    )
    yield home.runtimes
    call("umount", "-l", str(home.runtimes))


@pytest.fixture
def runtime(small_disk, launch, relay):
    handle = launch("relay", argv=IPYKERNEL)
    handle.settle()
    handle.client.wait_for_ready(timeout=20)
    return handle


@pytest.mark.timeout(120)
def test_output_waits_in_the_kernel_and_arrives_whole(runtime, relay, plane, tmp_path):
    mark = tmp_path / "printed"
    msg_id = runtime.send(PROGRAM.format(count=MEGABYTES, mark=str(mark)))
    assert runtime.next_state(msg_id) == "busy"
    plane.submit(relay.set_mode("cut")).result(20)
    # The cell ends although nobody takes what it prints.
    wait_until(mark.exists, 60)
    told = []
    plane.subscribe(lambda change: told.append(runtime.driver.output_held))
    plane.submit(relay.set_mode("open")).result(20)
    received = []
    is_idle = False
    while not is_idle:
        message = runtime.client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        with contextlib.suppress(KeyError):
            received.append(message["content"]["text"])
        is_idle = message["content"].get("execution_state") == "idle"
    assert "".join(received) == "".join(str(i % 10) * 1_000_000 + "\n" for i in range(MEGABYTES))
    # The user is told why, and that it is over.
    assert any("No space left on device" in (message or "") for message in told)
    runtime.until(lambda driver: driver.output_held is None)
    assert runtime.client.get_shell_msg(timeout=20)["content"]["status"] == "ok"
