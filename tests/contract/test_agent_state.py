"""State through a real agent and a real kernel: streams of any size, and who else is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil

from jupyter_remote_kernels.errors import LinkError
from jupyter_remote_kernels.protocol.state_stream import StreamReader
from tests.contract.agents import LIMIT_S, Cells, RunningAgent
from tests.contract.state_calls import (
    STAND_IN,
    MiB,
    capture,
    chunks,
    command,
    digest_of,
    is_free,
    refused,
    use,
)

__all__ = ["use"]

# What may wait on the way: in the sockets of kernel, agent and client, and one piece each.
ON_THE_WAY_BYTES = 24 * MiB
EXTRA_BYTES = 8 * MiB


async def wait_still(path):
    """Wait until the kernel sends no more; nothing tells us that it is stopped."""
    last = None
    while (now := path.read_text() if path.exists() else "") != last or not now:
        last = now
        await asyncio.sleep(0.2)
    return int(last)


class TestStreams:
    def test_capture_arrives_whole_in_constant_memory(self, use):
        async def work(agent):
            await capture(agent, "chunks", 1)
            before = agent.peak_bytes()
            values, size, digest = await capture(agent, "chunks", 100)
            assert [value["type"] for value in values] == ["end"]
            assert (size, digest) == (100 * MiB, digest_of(100))
            assert agent.peak_bytes() - before < EXTRA_BYTES

        use(work)

    def test_restore_arrives_whole_in_constant_memory(self, use):
        async def work(agent):
            await agent.client.restore(chunks(1))
            before = agent.peak_bytes()
            answer = await agent.client.restore(chunks(100))
            assert (answer["size"], answer["digest"]) == (100 * MiB, digest_of(100))
            assert agent.peak_bytes() - before < EXTRA_BYTES

        use(work)

    def test_small_pieces_and_empty_ones_arrive_too(self, use):
        async def body():
            whole = b"".join([piece async for piece in chunks(2)])
            for at in range(0, len(whole), 60_000):
                yield whole[at : at + 50_000]
                yield b""
                yield memoryview(whole)[at + 50_000 : at + 60_000]

        async def work(agent):
            assert (await agent.client.restore(body()))["digest"] == digest_of(2)
            assert (await capture(agent, "nothing"))[1] == 0

        use(work)

    def test_more_digests_than_fit_a_socket_go_with_the_command(self, use):
        async def work(agent):
            digests = [number.to_bytes(32, "big") for number in range(200_000)]
            values = []
            reader = StreamReader()
            body = command("capture", "nothing", digests=digests)
            async for piece in agent.client.capture(body):
                values += [record.value for record in reader.feed(piece)]
            assert values == [{"type": "end", "known": 200_000}]

        use(work)

    def test_slow_reader_stops_the_kernel_and_costs_no_memory(self, use, tmp_path):
        async def work(agent):
            await capture(agent, "chunks", 1)
            before = agent.peak_bytes()
            stream = agent.client.capture(command("capture", "chunks", 200))
            received = (await anext(stream)).nbytes
            sent = await wait_still(tmp_path / "sent")
            assert sent < ON_THE_WAY_BYTES
            async for piece in stream:
                received += piece.nbytes
            assert received > 200 * MiB
            assert agent.peak_bytes() - before < EXTRA_BYTES

        use(work)

    def test_slow_kernel_stops_the_sender(self, use):
        given = 0

        async def body():
            nonlocal given
            async for piece in chunks(200):
                given += len(piece)
                yield piece

        async def work(agent):
            kernel = psutil.Process((await agent.status())["kernel_pid"])
            await agent.client.restore(chunks(1))
            before = agent.peak_bytes()
            kernel.suspend()
            task = asyncio.create_task(agent.client.restore(body()))
            last = -1
            while last != given or not given:
                last = given
                await asyncio.sleep(0.2)
            assert given < ON_THE_WAY_BYTES
            kernel.resume()
            assert (await task)["digest"] == digest_of(200)
            assert agent.peak_bytes() - before < EXTRA_BYTES

        use(work)


class TestOthers:
    def test_requests_are_held_and_go_on_in_order(self, use):
        async def work(agent):
            async with Cells.of(agent) as cells:
                made = await cells.reply(cells.ask("create_subshell_request", {}, "control"))
                subshell = {"subshell_id": made["subshell_id"]}
                await cells.reply(cells.run("order = []", **subshell))
                stream = agent.client.capture(command("capture", "chunks", 200))
                await anext(stream)
                # Another thread of the kernel would answer these at once.
                held = [cells.run(f"order.append({n})", **subshell) for n in range(5)]
                await agent.client.measure()
                async with Cells.of(agent) as later:
                    # Who comes meanwhile is held too, but is told that the kernel is there.
                    late = later.run("order.append('late')", **subshell)
                    control = cells.ask("kernel_info_request", {}, "control")
                    await cells.reply(control)
                    parents = {message["parent"].get("msg_id") for message in cells.heard}
                    assert not parents & set(held)
                    async for _ in stream:
                        pass
                    for cell in held:
                        assert (await cells.reply(cell))["status"] == "ok"
                    assert (await later.reply(late))["status"] == "ok"
                content = {"user_expressions": {"o": "order"}, "code": "", "silent": False}
                answer = await cells.reply(cells.ask("execute_request", content))
                text = answer["user_expressions"]["o"]["data"]["text/plain"]
                # Each in its own order; between two clients there is none.
                assert [word for word in text[1:-1].split(", ") if word != "'late'"] == list(
                    "01234"
                )

        use(work)

    def test_cell_that_fails_before_does_not_take_the_call_along(self, use):
        async def work(agent):
            async with Cells.of(agent) as cells:
                cell = cells.run("import time; time.sleep(1); 1 / 0", stop_on_error=True)
                await cells.wait(lambda m: m["content"].get("execution_state") == "busy")
                await is_free(agent)
                assert (await cells.reply(cell))["status"] == "error"

        use(work)

    def test_nobody_hears_of_it(self, use):
        async def work(agent):
            async with Cells.of(agent) as cells:
                first = cells.run("1")
                await cells.reply(first)
                await capture(agent, "chunks", 50)
                await agent.client.variables(["a"])
                last = cells.run("2")
                await cells.reply(last)
                await cells.wait(
                    lambda m: (
                        m["parent"].get("msg_id") == last
                        and m["content"].get("execution_state") == "idle"
                    )
                )
                parents = {message["parent"].get("msg_id") for message in cells.heard}
                assert parents - {None} == {first, last}  # the kernel's welcome has none
                assert (await cells.reply(last))["execution_count"] == 2

        use(work)

    def test_agent_leaves_nothing_behind(self, tmp_path):
        async def work():
            agent = RunningAgent(tmp_path, STAND_IN)
            stream = agent.client.capture(command("capture", "hang", 1))
            await anext(stream)
            agent.process.terminate()
            with refused(LinkError, "kernel_died"):
                async for _ in stream:
                    pass
            agent.stop()

        asyncio.run(asyncio.wait_for(work(), LIMIT_S))
        left = {path.name for path in Path(tmp_path).iterdir()} - {"sent"}
        assert left == {"kernel.log", "ended.json"}
