"""What a kernel puts out while no browser is there, or while one reads slowly."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from jupyter_remote_kernels.protocol.frames import decode, encode
from jupyter_remote_kernels.protocol.messages import Composer
from tests.server.browser import Browser
from tests.server.server_process import TOKEN

FRAMED = "v1.kernel.websocket.jupyter.org"
GROWTH_BYTES = 64 * 2**20
MEGABYTES = 100
# 5 kB each, so that there are many of them.
MUCH = f"for i in range({MEGABYTES * 200}): print(f'{{i:06}}' + 'x' * 4994, flush=True)"


@pytest.fixture
def gate(tmp_path):
    """A cell that reads it waits until the test writes to it, and the other way round."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


class Watcher:
    """Sees what the taps before it have been given."""

    def __init__(self, wanted):
        self.seen = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._wanted = wanted

    def deliver(self, data):
        parts = decode(data)[1]
        if self._wanted in bytes(parts[0]) + bytes(parts[3]):
            self._loop.call_soon_threadsafe(self.seen.set)

    def close(self):
        pass


@pytest.fixture
def watch(plane):
    """Watch a kernel's output for some bytes, without being a browser."""

    def start(runtime_id, wanted):
        watcher = Watcher(wanted)
        plane.find(runtime_id).bridge.add_tap(watcher)
        return watcher.seen

    return start


async def test_another_browser_gets_what_nobody_was_there_for(launch, open_browser, gate):
    runtime_id = await launch()
    first = await open_browser(runtime_id)
    cell = await first.begin(
        f"print('begun', flush=True)\nopen({str(gate)!r}).read()\n"
        "for i in range(3000): print(i, flush=True)"
    )
    await first.until(lambda m: m["msg_type"] == "stream")
    await first.close()
    await asyncio.to_thread(gate.write_text, "")
    other = await open_browser(runtime_id)
    outcome = await other.finish(cell)
    # The reply was for the page that has gone, and is of use to this one.
    assert outcome.reply["status"] == "ok"
    assert outcome.text == "".join(f"{i}\n" for i in range(3000))
    assert (await other.execute("print('mine')")).text == "mine\n"


async def test_same_browser_again_and_again(launch, open_browser, gate):
    runtime_id = await launch()
    browser = await open_browser(runtime_id, "one")
    cell = await browser.begin(
        f"for i in range(3):\n    print(i, flush=True)\n    open({str(gate)!r}).read()"
    )
    for number in range(3):
        line = await browser.until(lambda m: m["msg_type"] == "stream")
        assert line["content"]["text"] == f"{number}\n"
        await browser.close()
        await asyncio.to_thread(gate.write_text, "")
        browser = await open_browser(runtime_id, "one")
    assert (await browser.finish(cell)).reply["status"] == "ok"


async def test_browser_that_comes_back_before_its_dead_websocket_is_given_up(
    launch, open_browser, gate
):
    runtime_id = await launch()
    first = await open_browser(runtime_id, "one")
    cell = await first.begin(f"open({str(gate)!r}).read()\nprint('x' * 30_000_000)\nprint('end')")
    await first.until(lambda m: m["msg_type"] == "execute_input")
    # From here on it reads nothing, like a laptop that sleeps.
    await asyncio.to_thread(gate.write_text, "")
    again = await open_browser(runtime_id, "one")
    outcome = await again.finish(cell)
    assert outcome.reply["status"] == "ok"
    assert outcome.text.endswith("x\nend\n")


async def test_another_page_gets_no_messages_of_widgets(launch, open_browser, gate, watch):
    runtime_id = await launch()
    first = await open_browser(runtime_id)
    cell = await first.begin(
        f"from comm import create_comm\nopen({str(gate)!r}).read()\n"
        "comm = create_comm(target_name='t', data={})\ncomm.send({'a': 1})\ncomm.close()\nprint(1)"
    )
    await first.until(lambda m: m["msg_type"] == "execute_input")
    await first.close()
    printed = watch(runtime_id, b'"stream"')
    await asyncio.to_thread(gate.write_text, "")
    await printed.wait()
    other = await open_browser(runtime_id)
    kinds = [message["msg_type"] for message in (await other.finish(cell)).output]
    assert kinds == ["stream", "status"]
    comm = await other.begin("comm = create_comm(target_name='t', data={})")
    assert "comm_open" in [m["msg_type"] for m in (await other.finish(comm)).output]


async def test_open_question_is_asked_again(launch, open_browser, gate):
    runtime_id = await launch()
    first = await open_browser(runtime_id)
    cell = await first.begin(f"open({str(gate)!r}).read()\nprint(input('A? '))")
    await first.until(lambda m: m["msg_type"] == "execute_input")
    await first.close()
    await asyncio.to_thread(gate.write_text, "")
    other = await open_browser(runtime_id)
    question = await other.until(lambda m: m["msg_type"] == "input_request")
    assert question["content"]["prompt"] == "A? "
    await other.send("stdin", "input_reply", {"value": "a"}, parent_header=question["header"])
    assert (await other.finish(cell)).text == "a\n"


async def test_answered_question_is_not_asked_again(launch, open_browser, gate, watch, plane):
    runtime_id = await launch()
    first = await open_browser(runtime_id)
    cell = await first.begin(f"open({str(gate)!r}).read()\nprint(input('A? '))")
    await first.until(lambda m: m["msg_type"] == "execute_input")
    await first.close()
    await asyncio.to_thread(gate.write_text, "")
    bridge = plane.find(runtime_id).bridge
    answered = watch(runtime_id, b'"stream"')
    while bridge.question_id is None:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)
    # Somebody answers who is no browser, such as a console.
    parts = Composer().compose("input_reply", {"value": "a"})
    (watcher,) = [tap for tap in bridge._taps if isinstance(tap, Watcher)]
    bridge.take_framed(watcher, encode("stdin", parts))
    await answered.wait()
    other = await open_browser(runtime_id)
    assert (await other.finish(cell)).text == "a\n"
    assert not [m for m in other._unread if m["msg_type"] == "input_request"]


class Far:
    """A server of its own, whose memory can be told from the test's."""

    def __init__(self, server):
        self.server = server
        self.runtime_id = None
        self.base_bytes = 0

    async def start_runtime(self):
        reply = await self.server.api("POST", "/runtimes", {"environment": "python"})
        self.runtime_id = reply.body["id"]

    async def open(self, session_id=None):
        browser = Browser(session_id)
        url = self.server.api.base_url.replace("http", "ws", 1)
        url += f"/api/kernels/{self.runtime_id}/channels?session_id={browser.session_id}"
        request = HTTPRequest(url, headers={"Authorization": f"token {TOKEN}"})
        browser.socket = await websocket_connect(
            request, subprotocols=[FRAMED], max_message_size=2**40
        )
        return browser

    def most_memory_bytes(self):
        """Return the most that the server has ever had."""
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    @property
    def growth_bytes(self):
        return self.most_memory_bytes() - self.base_bytes


@pytest.fixture
def start_far(start_server):
    """Start such a server, with a runtime."""

    async def start(*arguments):
        far = Far(await start_server(*arguments))
        await far.start_runtime()
        browser = await far.open()
        await browser.execute("print('ready')")
        await browser.close()
        far.base_bytes = far.most_memory_bytes()
        return far

    return start


def check_much(outcome):
    assert outcome.reply["status"] == "ok"
    numbers = [int(line[:6]) for line in outcome.text.splitlines()]
    assert numbers == list(range(MEGABYTES * 200))


@pytest.mark.timeout(180)
async def test_much_output_waits_on_the_disk(start_far, gate):
    far = await start_far()
    browser = await far.open()
    wait, tell = f"open({str(gate)!r}).read()\n", f"\nopen({str(gate)!r}, 'w').close()"
    cell = await browser.begin(wait + MUCH + tell, "cell")
    await browser.until(lambda m: m["msg_type"] == "execute_input")
    await browser.close()
    await asyncio.to_thread(gate.write_text, "")
    await asyncio.to_thread(gate.read_text)  # all of it is printed now
    other = await far.open()
    check_much(await other.finish(cell))
    assert far.growth_bytes < GROWTH_BYTES
    await other.close()
    kept = (await far.server.api("GET", f"/runtimes/{far.runtime_id}/executions")).body
    assert kept["executions"][0]["dropped_messages"] == 0


@pytest.mark.timeout(180)
async def test_slow_browser_grows_nothing(start_far, gate):
    far = await start_far()
    browser = await far.open()
    cell = await browser.begin(MUCH + f"\nopen({str(gate)!r}, 'w').close()")
    await asyncio.to_thread(gate.read_text)  # until here the browser has read nothing
    check_much(await browser.finish(cell))
    assert far.growth_bytes < GROWTH_BYTES
    await browser.close()


@pytest.mark.timeout(180)
async def test_what_nobody_takes_is_bounded(start_far, gate):
    far = await start_far("--RemoteKernels.kept_outputs_bytes=10000000")
    slow = await far.open()
    tell = f"\nopen({str(gate)!r}, 'w').close()"
    cell = await slow.begin(MUCH + tell, "cell")
    await asyncio.to_thread(gate.read_text)
    # It is sent away, and so is who comes back while there is still too much.
    while await slow.socket.read_message() is not None:
        pass
    slow.socket.close()
    path = f"/runtimes/{far.runtime_id}/executions"
    while True:
        (execution,) = (await far.server.api("GET", path)).body["executions"]
        if execution["state"] == "finished":
            break
        await asyncio.sleep(0.05)
    again = await far.open(slow.session_id)
    await again.execute("0")
    await again.close()
    # It finds its cell in what is kept.
    assert (execution["msg_id"], execution["state"]) == (cell, "finished")
    assert execution["size_bytes"] <= 10_000_000
    total = execution["dropped_messages"] + execution["messages"]
    assert total >= MEGABYTES * 200 > execution["dropped_messages"] > 0
    assert far.growth_bytes < GROWTH_BYTES
