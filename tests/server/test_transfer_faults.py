"""Processes killed in the middle of a transfer: a clear end, and the target as it was."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.server.test_pause import follow
from tests.server.test_transfers import SLOW, begin, say, start_local, start_runtime, until_there

__all__ = ["begin", "follow", "start_local", "start_runtime"]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def kill(plane, jp_serverapp):
    """Kill a kernel, or the agent beside it, with all that it can do about it."""

    def killed(kernel_id, what):
        driver = plane.find(kernel_id)
        if driver is None:
            pid = jp_serverapp.kernel_manager.get_kernel(kernel_id).provisioner.pid
        else:
            pid = driver.record.checkpoint["pid"]
            if what == "kernel":
                (pid,) = [child.pid for child in psutil.Process(pid).children()]
        os.kill(pid, signal.SIGKILL)

    return killed


@pytest.mark.parametrize("what", ["kernel", "agent"])
async def test_target_dies_while_the_source_is_read(
    start_runtime, start_local, begin, follow, kill, tmp_path, what
):
    source, page = await (start_local if what == "agent" else start_runtime)()
    target, _ = await start_runtime()
    await say(page, SLOW.format(folder=str(tmp_path)))
    reply = await begin(source, target, variables=["slow_to_read"])
    await until_there(tmp_path / "reading")
    kill(target, what)
    operation = await follow(reply)
    assert operation["state"] == "failed"
    reasons = {"kernel": ["kernel_died"], "agent": ["link_unavailable"]}
    assert operation["error"]["reason"] in reasons[what], operation["error"]
    # It did not wait for what is no use any more.
    assert await say(page, "print(before)") == "[1]\n"


async def test_ordinary_target_dies_while_the_source_is_read(
    start_runtime, start_local, begin, follow, kill, tmp_path
):
    source, page = await start_runtime()
    target, _ = await start_local()
    await say(page, SLOW.format(folder=str(tmp_path)))
    reply = await begin(source, target, variables=["slow_to_read"])
    await until_there(tmp_path / "reading")
    kill(target, "kernel")
    operation = await follow(reply)
    assert (operation["state"], operation["error"]["reason"]) == ("failed", "kernel_died")
    assert await say(page, "print(before)") == "[1]\n"


async def test_source_dies_while_the_target_is_written(
    start_runtime, start_local, begin, follow, kill, tmp_path
):
    source, page = await start_runtime()
    target, browser = await start_local()
    # Small variables wait for the next one. What comes then is more than fits between the two, so
    # that the source is not done with it.
    code = SLOW.format(folder=str(tmp_path)) + "\nlarge, more = bytes(32 << 20), bytes(64 << 20)"
    # That the source is gone is heard when the target goes on reading.
    code = code.replace("sleep(60)", "sleep(3)")
    await say(page, code)
    await say(browser, "before = 'mine'")
    names = ["before", "wait", "slow_to_write", "large", "more"]
    reply = await begin(source, target, variables=names, on_conflict="replace")
    await until_there(tmp_path / "writing")
    kill(source, "agent")
    operation = await follow(reply)
    assert operation["state"] == "failed"
    assert await say(browser, "print(before, 'wait' in dir(), 'large' in dir())") == (
        "mine False False\n"
    )
