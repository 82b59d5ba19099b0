"""State from kernel to kernel through real agents, with the code that real kernels are sent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from jupyter_remote_kernels.link.window import open_window
from jupyter_remote_kernels.protocol.state_stream import (
    ChunkRecord,
    StreamReader,
    WindowRecord,
    encode_json,
)
from jupyter_remote_kernels.providers import ssh_command
from tests.contract.agents import IPYKERNEL, LIMIT_S, ROOT, Cells, RunningAgent

PYTHON39 = ROOT / ".cache" / "python39" / "bin" / "python"
MAKE = """
first = [1, 2]
second = first
def count(): return len(first)
class Point:
    def __init__(self, x): self.x = x
point = Point(first)
text = "x" * 3_000_000
import threading
lock = threading.Lock()
"""
SLOW = """
class Slow:
    def __reduce__(self):
        import pathlib, time
        pathlib.Path("begun").touch()
        time.sleep(60)
slow = Slow()
"""
CHECK = """
assert first is second is point.x and count() == 2
first.append(3)
assert count() == 3 and text == "x" * 3_000_000
"""


@asynccontextmanager
async def two_agents(tmp_path, **second):
    agents = [RunningAgent(tmp_path / "a"), RunningAgent(tmp_path / "b", **second)]
    try:
        yield agents
    finally:
        for agent in agents:
            agent.stop()


async def run(agent, code):
    async with Cells.of(agent) as cells:
        reply = await cells.reply(cells.run(code))
        assert reply["status"] == "ok", reply


async def transfer(source, target):
    """Pass a capture on as it comes."""

    async def body():
        yield encode_json({"op": "restore", "names": None, "on_conflict": "replace"})
        command = encode_json({"op": "capture", "names": None, "hash": "none"})
        async for piece in source.client.capture(command):
            yield piece

    return await target.client.restore(body())


def test_variables_go_from_kernel_to_kernel(tmp_path):
    async def work():
        async with two_agents(tmp_path) as (source, target):
            await run(source, MAKE)
            answer = await source.client.variables()
            found = {each["name"]: each for each in answer["variables"]}
            assert found["first"]["preview"] == "[1, 2]"
            plan = await source.client.plan(["first", "second"])
            assert {each["name"] for each in plan["variables"]} == {"first", "second"}
            answer = await transfer(source, target)
            assert set(answer["restored"]) >= {"first", "second", "point", "count", "text"}
            await run(target, CHECK)
            # The code is in the kernels now, and is not sent again.
            await run(source, "first.append(9)")
            await transfer(source, target)
            await run(target, "assert first is second and first == [1, 2, 9]")

    asyncio.run(asyncio.wait_for(work(), LIMIT_S))


def test_large_chunks_come_through_memory_when_that_is_offered(tmp_path):
    async def chunks(agent, window):
        """Capture a text of 30 MB; return its bytes, and how many chunks came which way."""
        name = window.name if window is not None else "jrk-nobody"
        command = {"op": "capture", "names": ["text"], "hash": "none", "window": name}
        reader, data, ways = StreamReader(), bytearray(), []
        async for piece in agent.client.capture(encode_json(command)):
            for record in reader.feed(piece):
                if isinstance(record, WindowRecord):
                    data += window.take(record.offset, record.size)
                    window.release(record.offset)
                elif isinstance(record, ChunkRecord):
                    data += record.data
                else:
                    continue
                ways.append(type(record))
        return bytes(data), ways

    async def work():
        agent = RunningAgent(tmp_path / "a")
        try:
            await run(agent, "text = ''.join(map(str, range(4_200_000)))")
            async with open_window(is_near=True) as window:
                data, ways = await chunks(agent, window)
                assert ways.count(WindowRecord) > 25
            # Nobody offers one: all of it comes all the same.
            assert (await chunks(agent, None))[0] == data
            assert "".join(map(str, range(1000))).encode() in data
            await run(agent, "1")
        finally:
            agent.stop()

    asyncio.run(asyncio.wait_for(work(), LIMIT_S))


def test_host_with_nothing_but_ipykernel_and_an_old_python(tmp_path):
    if not PYTHON39.exists():
        pytest.skip("scripts/test makes a Python 3.9 with ipykernel")
    archive = tmp_path / "agent.zip"
    archive.write_bytes(ssh_command.make_archive(ssh_command._PARTS, ssh_command._OTHERS))
    argv = [str(PYTHON39), *IPYKERNEL[1:]]

    async def work():
        second = {"python": str(PYTHON39), "path": archive, "argv": argv}
        async with two_agents(tmp_path, **second) as (source, target):
            await run(target, MAKE)
            await run(target, "import sys; assert 'cloudpickle' not in sys.modules")
            before = target.process.memory_info().rss
            answer = await transfer(target, source)
            assert set(answer["restored"]) >= {"first", "second", "text"}
            await run(source, "assert first == second == [1, 2] and text == 'x' * 3_000_000")
            assert target.process.memory_info().rss - before < 8 * 2**20
            await run(source, MAKE)
            answer = await transfer(source, target)
            await run(target, "assert text == 'x' * 3_000_000")
            # Each name is either there or named with a reason.
            told = {*answer["restored"], *(each["name"] for each in answer["lost"])}
            assert told >= {"first", "second", "text", "count", "Point", "point"}
            log = (tmp_path / "b" / "kernel.log").read_text(encoding="utf-8")
            assert "jrk_state" not in log  # our code has raised nothing

    asyncio.run(asyncio.wait_for(work(), LIMIT_S))


def test_interrupted_kernel_says_so(tmp_path):
    async def work():
        agent = RunningAgent(tmp_path / "a")
        try:
            await run(agent, SLOW)
            task = asyncio.ensure_future(agent.client.plan())
            while not (tmp_path / "a" / "begun").exists():  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.01)
            await agent.client.interrupt()
            await asyncio.wait({task})
            assert task.exception().reason == "cancelled"
            await run(agent, "1")
        finally:
            agent.stop()

    asyncio.run(asyncio.wait_for(work(), LIMIT_S))
